# SPDX-License-Identifier: MIT
"""The packages that are installed for this interpreter.

A package that is found may be built for another interpreter: Debian keeps all packages in one folder, and only some have
extension modules for each version. So the package is imported, in a separate process.
"""
import functools
import importlib.util
import subprocess
import sys
import unittest


@functools.cache
def lack_of(name):
    """The reason why a package can't be used, or None."""
    if importlib.util.find_spec(name) is None:
        return f"no package {name} for this interpreter"
    run = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True)
    if run.returncode == 0:
        return None
    return f"no package {name} for this interpreter: {run.stderr.strip().rpartition(chr(10))[2]}"


def needs(*names):
    """A decorator: skips the test if one of the packages can't be used."""
    lacking = [lack for lack in map(lack_of, names) if lack]
    return unittest.skipIf(lacking, ", ".join(lacking))
