# SPDX-License-Identifier: MIT
"""
What meson 1.0 asks of distutils about an interpreter, for Python 3.12 and newer, which have no distutils.

tools/legs.sh puts it in the way of those interpreters while it sets up a build folder, and of no other.
"""
import sys
from types import ModuleType


class Distribution:
    """Asked for build_ext, and by that for the libraries that an extension is linked to: on Linux none."""

    def get_command_obj(self, name):
        return self

    def ensure_finalized(self):
        pass

    def get_libraries(self, extension):
        return []


class Extension:
    def __init__(self, name, sources):
        pass


def module(name, **contents):
    made = sys.modules[f"distutils.{name}"] = ModuleType(f"distutils.{name}")
    vars(made).update(contents)
    return made


core = module("core", Distribution=Distribution, Extension=Extension)
dist = module("dist", Distribution=Distribution)
command = module("command", install=module("command.install", INSTALL_SCHEMES={}))  # so sysconfig is asked for the paths
