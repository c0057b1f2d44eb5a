# SPDX-License-Identifier: MIT
"""Which packages there are for this interpreter.

A package that is found may be another interpreter's: Debian keeps all in one folder, and only some have extension modules for
each version. So it is imported, in a process of its own.
"""
import functools
import importlib.util
import subprocess
import sys
import unittest


@functools.cache
def lack_of(name):
    """Why a package can't be used; None if it can be."""
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
