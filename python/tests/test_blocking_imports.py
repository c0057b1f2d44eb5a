# SPDX-License-Identifier: MIT
"""Imports, and other values that are computed once, by another thread or for a long time."""
import _imp
import functools
import importlib
import importlib.machinery
import sys
import threading
import unittest
from contextlib import contextmanager

import blocking
from blocking import Call

cases = blocking.Cases(__name__)
case = cases.case


@case("functools.cached_property.__get__()", "another thread computes it")
def _():
    begun, end = threading.Event(), threading.Event()

    class Computed:
        @functools.cached_property
        def value(self):
            begun.set()
            end.wait()
            return 1

    computed = Computed()
    other = threading.Thread(target=lambda: computed.value)
    other.start()
    begun.wait()
    yield Call(lambda: computed.value, end.set, 1)
    end.set()
    other.join()


class Slow:
    """A finder and loader of one module, whose code waits."""

    name = "module_whose_code_waits"

    def __init__(self):
        self.begun, self.end = threading.Event(), threading.Event()

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.begun.set()
        self.end.wait()
        module.value = 1


@contextmanager
def slow_module():
    finder = Slow()
    sys.meta_path.insert(0, finder)
    try:
        yield finder, lambda: importlib.import_module(finder.name).value
    finally:
        finder.end.set()
        sys.meta_path.remove(finder)
        sys.modules.pop(finder.name, None)


@case("importlib.import_module()", "the module's own code")
def _():
    with slow_module() as (finder, load):
        yield Call(load, finder.end.set, 1)


@case("importlib.import_module()", "another thread's import of it")
def _():
    with slow_module() as (finder, load):
        other = threading.Thread(target=load)
        other.start()
        finder.begun.wait()
        yield Call(load, finder.end.set, 1)
        finder.end.set()
        other.join()


@case("_imp.acquire_lock()", "another thread's import lock")
def _():
    given = []

    def release():
        if not given:
            given.append(1)
            _imp.release_lock()

    def call():
        _imp.acquire_lock()
        _imp.release_lock()

    _imp.acquire_lock()
    yield Call(call, release)
    release()


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
