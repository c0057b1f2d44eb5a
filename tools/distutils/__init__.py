# SPDX-License-Identifier: MIT
"""
The part of distutils that meson 1.0 needs to examine an interpreter, for Python 3.12 and newer, which have none.

tools/legs.sh puts it into PYTHONPATH of those interpreters only, and only while it sets up a build folder.
"""
import sys
from types import ModuleType


class Distribution:
    """Its command build_ext returns the libraries that an extension is linked to: on Linux none."""

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
command = module("command", install=module("command.install", INSTALL_SCHEMES={}))  # so meson asks sysconfig
