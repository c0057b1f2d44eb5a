# SPDX-License-Identifier: MIT
"""The package as it is imported."""
import pickle
import subprocess
import sys
import unittest
from importlib import import_module

import bough
from process import run

# The modules that a program has loaded when it runs `SCRIPT`.
LOADED = """
import sys
before = set(sys.modules)
{script}
print(*sorted(set(sys.modules) - before))
"""

LATER = """
import sys, threading
import bough

bough.opt_in(pools=True)
def names():
    return {name for name in bough.report()["replaced"] if name.startswith(("subprocess", "concurrent", "asyncio"))}
print(names())
def work():
    import concurrent.futures.thread, subprocess
    pool = concurrent.futures.ThreadPoolExecutor(1)
    with pool:
        future = pool.submit(bough.check_interrupt)
        future.result()
with bough.branch() as b:
    b.add(work)
print(*sorted(names()), sep="\\n")
bough.opt_out()
print(names())
import subprocess
print(hasattr(subprocess.Popen.__init__, "__wrapped__"))
"""

# The thread is interrupted before it imports a module that bough has to change.
INTERRUPTED = """
import bough, sys
def work():
    child = bough.current_child()
    child.interrupt()
    try:
        import subprocess
    except bough.ThreadExit:
        bough.clear_interrupt()
        import subprocess
    return hasattr(subprocess.Popen.__init__, "__wrapped__")
with bough.branch() as b:
    child = b.add(work)
print(child.outcome, child.result())
"""


class Package(unittest.TestCase):
    def test_version(self):
        """the package and its library have the same version"""
        self.assertEqual(bough.__version__, bough.library_version())

    def test_docstrings(self):
        """each public name has a docstring"""
        public = [bough, *(getattr(bough, name) for name in bough.__all__)]
        self.assertEqual([thing for thing in public if callable(thing) and not thing.__doc__], [])

    def test_names(self):
        """each public name is the object in its file; each file's public names are names of the package"""
        for file, names in bough._names_of.items():
            module = import_module(f"bough.{file}")
            self.assertEqual(list(getattr(module, "__all__", names)), list(names), file)
            for name in names:
                self.assertIs(getattr(bough, name), getattr(module, name), name)
        self.assertLessEqual(set(bough.__all__), set(dir(bough)))
        self.assertEqual(len(bough.__all__), len(set(bough.__all__)))

    def test_a_name_that_is_not_there(self):
        with self.assertRaisesRegex(AttributeError, "^module 'bough' has no attribute 'brunch'"):
            bough.brunch
        with self.assertRaises(ImportError):
            from bough import brunch  # noqa: F401

    def test_import_of_all(self):
        names = {}
        exec("from bough import *", names)
        self.assertLessEqual(set(bough.__all__), set(names))

    def test_pickling(self):
        """classes and functions, before and after their file is loaded"""
        for thing in bough.Thread, bough.branch, bough.Rung.EXIT, bough.MultipleError("two", [KeyError(1), KeyError(2)]):
            data = pickle.dumps(thing)
            again = subprocess.run(
                [sys.executable, "-c", "import pickle, sys; print(pickle.load(sys.stdin.buffer))"],
                input=data,
                stdout=subprocess.PIPE,
                check=True,
            )
            self.assertEqual(again.stdout.decode().split(" at ")[0], f"{thing}\n".split(" at ")[0])


class Loading(unittest.TestCase):
    """A file is loaded when it is needed."""

    def loaded(self, script):
        process = run("-S", "-c", LOADED.format(script=script))
        self.assertEqual(process.status, 0, str(process))
        return set(process.out.split())

    def test_import(self):
        self.assertLessEqual(self.loaded("import bough"), {"bough", "bough._bough"})

    def test_branch(self):
        """a branch does not need the modules that it may have to change"""
        loaded = self.loaded("import bough\nwith bough.branch() as b: b.add(print)")
        unwanted = {"asyncio", "concurrent", "dis", "logging", "queue", "selectors", "socket", "subprocess", "traceback", "typing"}
        self.assertEqual(loaded & unwanted, set())

    def test_what_is_imported_later(self):
        """is changed at its import, also in a child, and restored by opt_out()"""
        process = run("-c", LATER)
        expected = """set()
concurrent.futures._base.Future.cancel
concurrent.futures.thread._WorkItem.run
subprocess.Popen.__exit__
subprocess.Popen.__init__
set()
False
"""
        self.assertEqual((process.status, process.out), (0, expected), str(process))

    def test_an_import_by_an_interrupted_thread(self):
        """either fails completely, or the module is changed completely"""
        process = run("-c", INTERRUPTED)
        self.assertEqual(process.out, "ok True\n", str(process))
