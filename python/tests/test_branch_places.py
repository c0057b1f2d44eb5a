# SPDX-License-Identifier: MIT
"""Where children run and branches are open: the environment of a child, and rule 31, in Python."""
import contextlib
import contextvars
import gc
import logging
import os
import subprocess
import sys
import sysconfig
import threading
import time
import unittest
import warnings
from pathlib import Path

import bough
from bough import branch
from branching import ENOUGH, A, B, block, fail
from process import ROOT
from tools import until

limit = 60
stays = ("anon_inode:*event*",)  # of the thread that delivers asynchronously, from its first use on


def machine_of(program):
    """The machine of an ELF file, because builds for other machines have commands, too."""
    return Path(program).read_bytes()[18:20]


class Surroundings(unittest.TestCase):
    """The environment of a child, and what it leaves behind."""

    def test_contextvars(self):
        """are those of the add; a child's changes stay in the child"""
        var = contextvars.ContextVar("var", default="default")
        var.set("body")

        def child():
            before = var.get()
            var.set("child")
            return before

        with branch() as b:
            one = b.add(child)
            one.join()
            two = b.add(child)
        self.assertEqual((one.result(), two.result(), var.get()), ("body", "body", "body"))

    def test_thread_locals(self):
        """are not shared by children that run on one worker, one after the other"""
        local = threading.local()

        def child():
            had = hasattr(local, "value")
            local.value = 1
            return had

        for _ in range(20):
            with branch() as b:
                child_ = b.add(child)
            self.assertIs(child_.result(), False)

    def test_names(self):
        """current_thread(), logging, enumerate() and the kernel know a child by its name, while it runs"""
        with self.assertLogs("test", logging.INFO) as logs, branch() as b:

            def child():
                logging.getLogger("test").info("here")
                comm = Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip()
                thread = threading.current_thread()
                return thread.name, comm, thread in threading.enumerate(), thread.is_alive(), thread

            named = b.add(child, name="a-name")
            named.join()
            other = b.add(child)
        self.assertEqual(named.result()[:4], ("a-name", "a-name", True, True))
        self.assertRegex(other.result()[0], r"^child-\d+$")
        self.assertEqual(logs.records[0].threadName, "a-name")
        self.assertNotIn(named.result()[4], threading.enumerate())
        self.assertFalse(named.result()[4].is_alive())
        named.result()[4].join(ENOUGH)
        self.assertIs(named.result()[4], named.result()[4])
        self.assertEqual(threading.enumerate(), [threading.main_thread()])

    def test_its_thread_is_whole(self):
        """threading's object for a child has all attributes, whichever thread reads them first, also after the child's end"""
        like = threading.Thread()
        for asked_late in (False, True):
            with branch() as b:
                child = b.add(block, name="a-child")
                until(lambda: child.ident)
                thread = next(t for t in threading.enumerate() if getattr(t, "_child", None) is child)
                thread.name = "another name"
                native_id = None if asked_late else thread.native_id
                b.interrupt()
            for attribute in like.__dict__:
                self.assertTrue(hasattr(thread, attribute), attribute)
            self.assertEqual((thread.name, thread.ident, thread.daemon), ("another name", child.ident, True))
            self.assertEqual(thread.native_id, native_id or child._native_id)
            self.assertFalse(hasattr(thread, "what_no_thread_has"))
            self.assertIn("another name", repr(thread))
            self.assertNotIn(thread, threading.enumerate())

    def test_joined_by_many(self):
        """before its end, at it and after it"""
        with branch() as b:
            child = b.add(block)
            joined = [b.add(child.join) for _ in range(10)]
            self.assertFalse(child.join(0))
            child.interrupt()
            self.assertTrue(child.join())
            for other in joined:
                other.join()
                self.assertIs(other.result(), True)
            self.assertTrue(child.join(0))

    def test_names_from_outside(self):
        """`bough tree PID` shows branches and children by name"""
        built = [path for path in sorted(ROOT.glob("build*/cli/bough")) if os.access(path, os.X_OK)]
        command = next((path for path in built if machine_of(path) == machine_of(sys.executable)), None)
        if command is None:
            self.skipTest("the command bough is not built")
        with branch("Zweig ä") as b:
            child = b.add(block, name="a-child")
            until(lambda: child.ident)
            tree = subprocess.run([command, "tree", str(os.getpid())], capture_output=True, text=True)
            b.interrupt()
        self.assertIn("a-child", tree.stdout, tree.stderr)
        self.assertIn("Zweig ä", tree.stdout)
        self.assertNotIn("foreign region", tree.stdout)  # of the package
        self.assertIn(Path(__file__).name, tree.stdout)

    def test_trace(self):
        """threading.settrace() and setprofile() see children"""
        seen = []
        threading.settrace(lambda frame, event, _: seen.append((event, frame.f_code.co_name)))
        threading.setprofile(lambda frame, event, _: seen.append(("p " + event, frame.f_code.co_name)))
        try:
            with branch() as b:
                b.add(fail, A()).join()
        except A:
            pass
        finally:
            threading.settrace(None)
            threading.setprofile(None)
        self.assertIn(("call", "fail"), seen)
        self.assertIn(("p call", "fail"), seen)

    def test_many(self):
        """10,000 children leave no memory, threads or descriptors behind"""

        def run(count):
            with branch(limit=50, supervisor=True) as b:
                for n in range(count):
                    b.add(fail, A()) if n % 10 == 0 else b.add(int)
            del b.failures[:]

        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4

        run(2000)
        gc.collect()
        before = resident(), len(os.listdir("/proc/self/fd")), len(gc.get_objects())
        run(10000)
        gc.collect()
        after = resident(), len(os.listdir("/proc/self/fd")), len(gc.get_objects())
        self.assertLess(after[0] - before[0], 6000, "KB")
        self.assertEqual(after[1], before[1])
        self.assertLess(after[2] - before[2], 200)
        self.assertEqual(threading.enumerate(), [threading.main_thread()])


class Generators(unittest.TestCase):
    """Rule 31."""

    def setUp(self):
        self.unraisable, self.before = [], sys.unraisablehook
        sys.unraisablehook = lambda args: self.unraisable.append(args.exc_value)

    def tearDown(self):
        sys.unraisablehook = self.before
        time.sleep(0)  # no interrupt is left in this thread

    @staticmethod
    @contextlib.contextmanager
    def pool(*functions, **options):
        with branch(**options) as b:
            for function in functions:
                b.add(function)
            yield b

    def test_contextmanager(self):
        """entered and left on one thread, it works like a `with` block in that place"""
        done = []
        with self.pool(lambda: done.append(1)) as b:
            b.add(lambda: done.append(2))
        self.assertEqual(sorted(done), [1, 2])
        with self.assertRaises(A) as caught, self.pool() as b:
            b.add(fail, A())
            block()
        self.assertIsNone(caught.exception.__context__)
        with self.assertRaises(B), self.pool(block):
            raise B
        with self.pool(block) as b:
            b.interrupt()
            block()
        self.assertTrue(b.interrupted)
        with self.assertRaises(TimeoutError), self.pool(block, timeout=0.02):
            block()

    def test_generator_that_is_left_early(self):
        """by a break: closed on the spot, its children interrupted"""
        children = []

        def results():
            with branch() as b:
                children.append(b.add(block))
                yield 1
                yield 2

        for _ in results():
            break
        self.assertEqual(children[0].outcome, "interrupted")

    def test_left_by_another_thread(self):
        """is refused; the children are interrupted and joined, and the thread that entered it works on"""
        manager, errors = self.pool(block, block), []
        b = manager.__enter__()
        children = list(b._children)

        def leave():
            try:
                manager.__exit__(None, None, None)
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
        self.assertRegex(str(errors[0]), "a thread that did not enter it")
        self.assertEqual([child.outcome for child in children], ["interrupted"] * 2)
        time.sleep(0.001)
        with self.assertRaisesRegex(RuntimeError, "not open"):
            b.add(int)
        with branch() as after:
            self.assertTrue(after.add(int).join())

    def test_interleaved(self):
        """a branch that is left before branches that were opened in it ends these as well"""
        one, two = self.pool(block), self.pool(block)
        with one as a:
            pass_on = two.__enter__()
            children = list(a._children | pass_on._children)
            with self.assertRaisesRegex(RuntimeError, "still open"):
                one.__exit__(None, None, None)
        self.assertEqual([child.outcome for child in children], ["interrupted"] * 2)
        with self.assertRaisesRegex(RuntimeError, "has already ended"):
            two.__exit__(None, None, None)
        with branch() as after:
            self.assertTrue(after.add(int).join())

    def test_collected(self):
        """while it is open: the children are interrupted and joined, and it is reported"""
        manager = self.pool(block)
        b = manager.__enter__()
        children = list(b._children)
        del b, manager
        gc.collect()
        self.assertEqual(children[0].outcome, "interrupted")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            b = branch()
            b.__enter__()
            children = [b.add(block)]
            del b
            gc.collect()
        self.assertEqual(children[0].outcome, "interrupted")
        self.assertRegex(str(caught[0].message), "dropped while it was open")

    @unittest.skipIf(sysconfig.get_config_var("Py_GIL_DISABLED"), "a free-threaded interpreter has it collected by its own thread")
    def test_collected_by_another_thread(self):
        box = [self.pool(block)]
        children = list(box[0].__enter__()._children)
        thread = threading.Thread(target=box.clear)
        thread.start()
        thread.join()
        self.assertEqual(children[0].outcome, "interrupted")
        self.assertRegex(str(self.unraisable[0]), "a thread that did not enter it")

    def test_left_open_by_a_child(self):
        """in a generator that lives on: it ends with the child"""
        kept = []

        def child():
            manager = self.pool(block)
            b = manager.__enter__()
            kept.append((manager, list(b._children)))

        with self.assertRaisesRegex(RuntimeError, "still open when its thread ended"), branch() as b:
            b.add(child)
        self.assertEqual(kept[0][1][0].outcome, "interrupted")
        with self.assertRaises(RuntimeError):
            kept[0][0].__exit__(None, None, None)

    def test_left_open_by_a_thread(self):
        kept = []

        def run():
            manager = self.pool(block)
            kept.append((manager, list(manager.__enter__()._children)))

        thread = bough.Thread(target=run)
        thread.start()
        thread.join()
        until(lambda: kept[0][1][0].outcome == "interrupted")
        with self.assertRaises(RuntimeError):
            kept[0][0].__exit__(None, None, None)

    def test_regions_left_open(self):
        """in a generator, inside of a branch: the branch's end ends them"""

        @contextlib.contextmanager
        def section():
            with bough.critical_section():
                yield

        with branch() as outer:
            with branch():
                manager = section()
                manager.__enter__()
            outer.interrupt()
            block()
        self.assertTrue(outer.interrupted)
        with self.assertRaises(RuntimeError):
            manager.__exit__(None, None, None)


if __name__ == "__main__":
    unittest.main()
