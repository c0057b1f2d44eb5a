# SPDX-License-Identifier: MIT
"""Rule 42: opt_in() and opt_out() either succeed completely or change nothing; and the cases that they refuse."""
import importlib
import subprocess  # noqa: F401  what is loaded already is replaced at once
import os
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import bough
from bough import _bough, _patch_stdlib, _replace, _signals
from installed import needs
from process import run
from test_report import attributes, errors, methods, slots
from tools import AtLine, Stop, ended, started


class Injected(Exception):
    pass


def state():
    found = methods(), errors(), attributes(), slots()  # these calls import modules
    report = bough.report()
    names = ("opted_in", "interposed", "hooked", "methods", "errors", "replaced")
    finders = [finder for finder in sys.meta_path if type(finder).__module__.startswith("bough")]
    return *found, [report[name] for name in names], finders


class CtrlC:
    """Stands in for _bough: a Ctrl-C comes while its function of this name runs, and is raised at the end of the call."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, name):
        function = getattr(_bough, name)

        def and_ctrl_c(*args):
            function(*args)
            raise KeyboardInterrupt

        return and_ctrl_c if name == self.name else function


class Failures(unittest.TestCase):
    """Each step of opting in fails once."""

    setUpClass = classmethod(lambda cls: bough.opt_out())
    tearDownClass = classmethod(lambda cls: bough.opt_out())

    def assert_nothing_changes(self):
        before = state()
        with self.assertRaises(Injected):
            bough.opt_in()
        self.assertEqual(state(), before)
        self.assertFalse(bough.report()["opted_in"])

    def in_window(self, name):
        def window(reached):
            if reached == name:
                raise Injected(name)

        _bough.set_window(window)
        self.addCleanup(_bough.set_window, None)

    def test_after_the_methods(self):
        self.in_window("opt in: methods are replaced")
        self.assert_nothing_changes()

    def test_after_the_calls(self):
        self.in_window("opt in: calls are interposed")
        self.assert_nothing_changes()

    def count(self, module, name):
        """The number of times that opt_in() calls this function."""
        original, calls = getattr(module, name), []
        setattr(module, name, lambda *args: (calls.append(1), original(*args))[1])
        try:
            bough.opt_in()
        finally:
            setattr(module, name, original)
            bough.opt_out()
        return len(calls)

    def fail_each(self, module, name):
        original = getattr(module, name)
        for last in range(self.count(module, name)):
            left = [last]

            def fails(*args):
                left[0] -= 1
                if left[0] == -1:
                    raise Injected(f"{name} after {last} calls")
                return original(*args)

            setattr(module, name, fails)
            try:
                with self.subTest(after=last):
                    self.assert_nothing_changes()
            finally:
                setattr(module, name, original)
            self.assertTrue(bough.opt_in())
            bough.opt_out()

    def test_each_replacement(self):
        self.fail_each(_replace, "replace")

    def test_each_class_of_errors(self):
        self.fail_each(_bough, "replace_error")

    def test_the_functions_that_must_not_fail(self):
        self.fail_each(_bough, "set_never_interrupted")

    def test_the_modules_that_are_followed(self):
        self.fail_each(_replace, "follow_imports")

    def test_signals(self):
        from bough import _signals

        self.fail_each(_signals, "take_part")

    def test_another_thread_waits_until_it_is_complete(self):
        """a thread that starts meanwhile does not see a partial opt-in"""
        found, inside = [], threading.Event()
        original = _replace.replace

        def slow(*args):
            if not inside.is_set():
                inside.set()
                thread.start()
                thread.join(0.1)
            return original(*args)

        def other():
            bough.opt_in()
            found.append("sys.unraisablehook" in bough.report()["replaced"])

        thread = threading.Thread(target=other)
        _replace.replace = slow
        try:
            bough.opt_in()
        finally:
            _replace.replace = original
        thread.join()
        self.assertEqual(found, [True])

    def assert_raises_ctrl_c(self, function, name):
        """function() calls _bough's function of that name, and a Ctrl-C comes during that call."""
        self.addCleanup(setattr, _patch_stdlib, "_bough", _bough)
        _patch_stdlib._bough = CtrlC(name)
        with self.assertRaises(KeyboardInterrupt):
            function()
        _patch_stdlib._bough = _bough

    def test_a_ctrl_c_while_calls_are_interposed(self):
        """is raised when they are, and nothing is replaced then"""
        before = state()
        self.addCleanup(bough.opt_out)
        self.assert_raises_ctrl_c(bough.opt_in, "opt_in")
        self.assertEqual(state(), before)
        self.assertTrue(bough.opt_in())
        self.assertIn("sys.unraisablehook", bough.report()["replaced"])

    def test_a_ctrl_c_while_calls_are_restored(self):
        """is raised when all else is restored, too"""
        before = state()
        bough.opt_in()
        self.assert_raises_ctrl_c(bough.opt_out, "opt_out")
        self.assertEqual(state(), before)

    def test_a_module_that_is_imported_meanwhile(self):
        """opt_out() comes while the module's code runs"""
        begun, go_on = threading.Event(), threading.Event()
        self.addCleanup(sys.modules.pop, "uvloop", None)
        sys.modules["gates_of_test_opting"] = begun, go_on
        self.addCleanup(sys.modules.pop, "gates_of_test_opting")
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys, "path", [folder, *sys.path]):
            Path(folder, "uvloop.py").write_text(
                "import sys\nbegun, go_on = sys.modules['gates_of_test_opting']\nbegun.set()\ngo_on.wait()\n"
                "class Loop:\n    def run_forever(self): pass\n    original = run_forever\n"
            )
            bough.opt_in()
            thread = threading.Thread(target=importlib.import_module, args=("uvloop",))
            thread.start()
            begun.wait()
            bough.opt_out()
            go_on.set()
            thread.join()
        loop = sys.modules["uvloop"].Loop
        self.assertIs(loop.run_forever, loop.original)
        self.assertEqual(bough.report()["replaced"], [])

    def test_requests_while_main_makes_no_step(self):
        """another thread opts in and out more often than calls can be pending for main"""

        def requests():
            for _ in range(400):
                _signals.take_part()

        before = _signals._main_frame
        self.addCleanup(setattr, _signals, "_main_frame", before)
        thread = started(requests, cls=threading.Thread)
        self.assertIsNone(ended(thread))

    def test_two_threads_change_a_late_module(self):
        stop = Stop()

        def change_late():
            with AtLine(_replace.change_late, ("_late.remove", stop)):
                _replace.change_late()

        _replace._late.append(("no.such.module", print))
        thread = started(change_late, cls=threading.Thread)
        stop.until_reached()
        _replace.change_late()
        stop.go_on()
        self.assertIsNone(ended(thread))

    def test_a_ctrl_c_during_opt_out(self):
        """is raised by opt_out() when everything is restored"""
        before = state()
        bough.opt_in()
        raised = []

        def ctrl_c():
            if not raised:
                raised.append(1)
                raise KeyboardInterrupt

        _replace.on_undo(ctrl_c)
        with self.assertRaises(KeyboardInterrupt):
            bough.opt_out()
        self.assertEqual(state(), before)


NO_PAGE = """
import bough, ctypes, os, sys
sys.path.insert(0, sys.argv[1])
from seccomp import forbid_mprotect
from test_opting import state

bough.opt_in()
before = state()
forbid_mprotect()
try:
    bough.opt_out()
except RuntimeError as error:
    print("RuntimeError", error)
print(state() == before, bough.report()["opted_in"])
"""


class OptingOut(unittest.TestCase):
    def test_a_page_that_can_not_be_made_writable(self):
        """then opt_out() restores nothing"""
        process = run("-c", NO_PAGE, os.path.dirname(os.path.abspath(__file__)))
        self.assertRegex(process.out, r"^RuntimeError cannot restore", str(process))
        self.assertEqual(process.out.splitlines()[1:], ["True True"], str(process))


FORK = """
import os, threading, bough
from bough import _patch_stdlib, _replace
inside, go_on, original = threading.Event(), threading.Event(), _replace.replace
def slow(*args):
    inside.set()
    go_on.wait()
    return original(*args)
_replace.replace = slow
os.register_at_fork(before=go_on.set)
thread = threading.Thread(target=bough.opt_in)
thread.start()
inside.wait()
pid = os.fork()
_replace.replace = original
if pid == 0:
    print(bough.opt_in(), "sys.unraisablehook" in bough.report()["replaced"], flush=True)
    os._exit(0)
os.waitpid(pid, 0)
thread.join()
"""


class Forks(unittest.TestCase):
    def test_while_another_thread_opts_in(self):
        """The fork waits until opt_in() is complete."""
        process = run("-c", FORK)
        self.assertEqual(process.out, "False True\n", str(process))


BEFORE = """
{patch}
import bough
for use in bough.opt_in, bough.Thread(target=print).start, bough.branch().__enter__:
    try:
        use()
    except RuntimeError as error:
        print(error)
print(bough.report()["opted_in"], bough.report()["replaced"])
"""

AFTER = """
import bough, threading
bough.opt_in()
start = threading.Thread.start
try:
    {patch}
except RuntimeError as error:
    print(error)
print(threading.Thread.start is start)
with bough.branch() as b:
    child = b.add(lambda: 7)
print(child.result())
bough.opt_out()
{patch}
try:
    bough.opt_in()
except RuntimeError as error:
    print(error)
"""

HARMLESS = """
import bough, sys
import gevent, gevent.monkey
bough.opt_in()
gevent.monkey.patch_signal()
with bough.branch() as b:
    child = b.add(lambda: 7)
print(child.result())
"""


class GreenThreads(unittest.TestCase):
    """The monkey patches of gevent and eventlet."""

    def patched_before(self, patch, library):
        process = run("-c", BEFORE.format(patch=patch))
        lines = process.out.splitlines()
        self.assertEqual(process.status, 0, str(process))
        self.assertEqual(lines[3:], ["False []"], str(process))
        for line in lines[:3]:
            self.assertRegex(line, f"^bough can't be used with {library}'s monkey patch, which has replaced .*thread")

    def patched_after(self, patch, library):
        process = run("-c", AFTER.format(patch=patch))
        refused, untouched, result, late = process.out.splitlines()
        self.assertRegex(refused, f"^{library}'s monkey patch must not replace")
        self.assertEqual((untouched, result), ("True", "7"), str(process))
        self.assertRegex(late, f"^bough can't be used with {library}")

    @needs("gevent")
    def test_gevent_before(self):
        self.patched_before("from gevent import monkey; monkey.patch_all()", "gevent")

    @needs("gevent")
    def test_gevent_after(self):
        self.patched_after("from gevent import monkey; monkey.patch_all()", "gevent")
        self.patched_after("from gevent import monkey; monkey.patch_thread()", "gevent")

    @needs("gevent")
    def test_gevent_without_a_patch(self):
        process = run("-c", HARMLESS)
        self.assertEqual((process.status, process.out), (0, "7\n"), str(process))

    @needs("eventlet")
    def test_eventlet_before(self):
        self.patched_before("import eventlet; eventlet.monkey_patch()", "eventlet")

    @needs("eventlet")
    def test_eventlet_after(self):
        self.patched_after("import eventlet; eventlet.monkey_patch()", "eventlet")
        self.patched_after("import eventlet.patcher; eventlet.patcher.monkey_patch(thread=True)", "eventlet")


FOLLOWED = """
import bough, sys
bough.opt_in(pools=True)
def work():
    import multiprocessing.pool
    return multiprocessing.pool.worker.__module__, multiprocessing.pool.__spec__.loader.__dict__
with bough.branch() as b:
    child = b.add(work)
import multiprocessing.pool as pool
print("multiprocessing.pool.worker" in bough.report()["replaced"], "exec_module" in child.result()[1])
"""


OLD_FINDER = """
import bough, sys
class Old:
    def find_module(self, name, path=None):
        return None
sys.meta_path.insert(0, Old())
bough.opt_in()
import queue
print(queue.Queue.get.__module__)
"""


class Imports(unittest.TestCase):
    def test_a_finder_without_find_spec(self):
        """is passed over: libraries such as jedi insert one"""
        process = run("-W", "ignore", "-c", OLD_FINDER)
        self.assertEqual((process.status, process.out), (0, "queue\n"), str(process))

    def test_a_module_that_a_child_imports(self):
        """is changed before the child can use it, and its loader is unchanged"""
        process = run("-c", FOLLOWED)
        self.assertEqual(process.out, "True False\n", str(process))



JOIN_WITHOUT_A_THREAD = """
import _thread, threading
go, begun = threading.Event(), threading.Event()
old = threading.Thread(target=go.wait)
old.start()
import bough
def joins(*timeout):
    _thread.stack_size(1 << 47)  # no thread has room for that
    begun.set()
    old.join(*timeout)
    return old.is_alive()
with bough.branch() as b:
    child = b.add(joins)
    begun.wait()
    child.interrupt()
_thread.stack_size(0)
with bough.branch() as b:
    short = b.add(joins, 0.01)
print(child.outcome, short.result())
_thread.stack_size(0)
begun.clear()
with bough.branch() as b:
    child = b.add(joins)
    begun.wait()
    go.set()
print(child.result())
"""


class BegunBefore(unittest.TestCase):
    """a thread that began before the opt-in"""

    def test_no_thread_can_be_started(self):
        """that waits for its end: a join of it is interrupted all the same, keeps its timeout, and does not hang"""
        process = run("-c", JOIN_WITHOUT_A_THREAD)
        self.assertEqual((process.out, process.err), ("interrupted True\nFalse\n", ""), str(process))


if __name__ == "__main__":
    unittest.main()
