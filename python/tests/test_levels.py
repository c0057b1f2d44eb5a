# SPDX-License-Identifier: MIT
"""Regions: critical sections and their budgets, cleanup and its grace, allow_interruption (rules 14 to 20)."""
import contextlib
import re
import tempfile
import threading
import time
import unittest

import bough
from bough import ThreadExit
from tools import (
    LIMIT, SCALE, Gate, bytecode, ended, open_what_stays, pipe, points, poll_for, read, started, still_there, until_inside,
)

setUpModule = open_what_stays


def interrupt_myself(reason="test"):
    bough.interrupt(threading.get_ident(), reason)


def in_a_thread(function):
    """Runs the test in a separate thread, so that its pending interrupts end with it."""

    def test(self):
        thread = started(function, self)
        error = ended(thread)
        if error is not None:
            raise error

    test.__doc__ = function.__doc__
    return test


class Critical(unittest.TestCase):
    @in_a_thread
    def test_protects(self):
        """no point inside raises; the query reports the interrupt; the first point after the section raises"""
        with bough.critical_section():
            interrupt_myself()
            bough.check_interrupt()
            self.assertTrue(bough.interruption_requested())
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()

    @in_a_thread
    def test_end_is_no_point(self):
        """its end is not an interruption point (rule 18)"""
        with bough.critical_section():
            interrupt_myself()
        self.assertTrue(bough.interruption_requested())

    @in_a_thread
    def test_end_that_checks(self):
        """with check=True its end is an interruption point"""
        with self.assertRaises(ThreadExit):
            with bough.critical_section(check=True):
                interrupt_myself()
                bough.check_interrupt()
        bough.clear_interrupt()
        with bough.critical_section(check=True):
            pass

    @in_a_thread
    def test_errors_stay(self):
        """an error that is being raised is not replaced, with check=True either (rule 18)"""
        for check in (False, True):
            error = KeyError("x")
            with self.assertRaises(KeyError) as caught:
                with bough.critical_section(check=check):
                    interrupt_myself()
                    raise error
            self.assertIs(caught.exception, error)
            self.assertIsNone(error.__context__)

    @in_a_thread
    def test_budget_is_used_up(self):
        """when the budget is used up it no longer protects (rule 17)"""
        begin = time.monotonic()
        with self.assertRaises(ThreadExit):
            with bough.critical_section(budget=0.1):
                interrupt_myself()
                points()
        self.assertGreaterEqual(time.monotonic() - begin, 0.1)
        self.assertLess(time.monotonic() - begin, 4 * SCALE)

    @in_a_thread
    def test_budget_counts_from_the_post(self):
        """the budget counts from the post where that comes later (rule 17)"""
        for budget in 0.2, 2, LIMIT / 2:
            with bough.critical_section(budget=budget):
                time.sleep(budget + 0.1)
                posted = time.monotonic()
                interrupt_myself()
                try:
                    bough.check_interrupt()
                except ThreadExit:  # the budget was used up before the point, if the machine is busy
                    self.assertGreaterEqual(time.monotonic() - posted, budget)
                    bough.clear_interrupt()
                    continue
                with self.assertRaises(ThreadExit):
                    points()
                break

    @in_a_thread
    def test_smallest_budget(self):
        """all pauses of one incident together last at most the smallest budget among them (rule 17)"""
        interrupted = time.monotonic()
        interrupt_myself()
        with self.assertRaises(ThreadExit):
            while True:
                with bough.critical_section(budget=0.1):
                    bough.check_interrupt()
        self.assertLess(time.monotonic() - interrupted, 4 * SCALE)

    def test_blocking_call(self):
        """a blocking call inside is not interrupted before the budget is used up, and then it is"""
        def run(budget):
            with bough.critical_section(budget=budget):
                read(r)

        with pipe() as (r, w):
            thread = started(run, 0.3, enable_io_interrupt=True)
            begin = time.monotonic()
            thread.interrupt()
            self.assertIsInstance(ended(thread), ThreadExit)
            self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    def test_asynchronous(self):
        """asynchronous delivery does not enter a section before its budget is used up"""
        def run(budget):
            try:
                with bough.critical_section(budget=budget):
                    inside.open()
                    bytecode()
            except ThreadExit:
                seen.append(time.monotonic())
                raise

        seen, inside = [], Gate()
        thread = started(run, 0.6, enable_async_interrupt=True)
        inside.passed()
        posted = time.monotonic()
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)
        self.assertGreaterEqual(seen[0] - posted, 0.6)

    @in_a_thread
    def test_nested(self):
        """sections nest; the end of the outermost one restores the level"""
        with bough.critical_section():
            with bough.critical_section():
                interrupt_myself()
            bough.check_interrupt()
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()

    @in_a_thread
    def test_ways_out(self):
        """every way out restores the level (rule 19)"""
        def by_return():
            with bough.critical_section():
                return

        def by_break():
            while True:
                with bough.critical_section():
                    break

        def by_continue():
            for _ in range(2):
                with bough.critical_section():
                    continue

        def by_exception():
            with contextlib.suppress(KeyError), bough.critical_section():
                raise KeyError

        def by_generator():
            def generator():
                with bough.critical_section():
                    yield 1

            for _ in generator():
                pass

        def by_generator_closed():
            def generator():
                with bough.critical_section():
                    yield 1

            g = generator()
            next(g)
            g.close()

        for way in (by_return, by_break, by_continue, by_exception, by_generator, by_generator_closed):
            with self.subTest(way.__name__):
                way()
                interrupt_myself()
                with self.assertRaises(ThreadExit):
                    bough.check_interrupt()
                bough.clear_interrupt()

    @in_a_thread
    def test_one_object_many_times(self):
        """one object may be entered again while it is entered, and by several threads"""
        section = bough.critical_section()
        with section, section:
            interrupt_myself()

            def other():
                with section:
                    pass
                bough.check_interrupt()

            self.assertIsNone(ended(started(other)))
            bough.check_interrupt()
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()

    @in_a_thread
    def test_contextmanager(self):
        """one in a generator that is a context manager"""
        @contextlib.contextmanager
        def mine():
            with bough.critical_section():
                yield

        with mine():
            interrupt_myself()
            bough.check_interrupt()
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()

    @in_a_thread
    def test_wrong_order(self):
        """leaving sections in the wrong order is a RuntimeError, and changes nothing"""
        def generator(region):
            with region:
                yield

        outer, inner = generator(bough.critical_section()), generator(bough.cleanup())
        next(outer), next(inner)
        with self.assertRaises(RuntimeError):
            outer.close()
        inner.close()
        # the outer section is still open when the thread ends
        interrupt_myself()
        bough.check_interrupt()

    @in_a_thread
    def test_wrong_thread(self):
        """leaving a section in another thread is a RuntimeError, and the section stays open where it was entered"""
        section = bough.critical_section()
        section.__enter__()
        self.assertIsInstance(ended(started(section.__exit__, None, None, None)), RuntimeError)
        interrupt_myself()
        bough.check_interrupt()
        section.__exit__(None, None, None)
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()

    @in_a_thread
    def test_not_entered(self):
        """leaving a section that was not entered is a RuntimeError"""
        with self.assertRaises(RuntimeError):
            bough.critical_section().__exit__(None, None, None)

    def test_budgets(self):
        """budgets and graces are seconds, more than 0"""
        for make in (bough.critical_section, bough.cleanup):
            for wrong in (0, -1, float("nan"), float("inf")):
                with self.subTest(wrong), self.assertRaises(ValueError):
                    make(wrong)
            with self.assertRaises(TypeError):
                make("long")
            make(), make(None), make(1), make(0.5)
        bough.critical_section(budget=1, check=True), bough.cleanup(grace=1)

    def test_left_open(self):
        """a section that is open at a thread's end has no effect on the next thread"""
        for _ in range(20):
            ended(started(lambda: bough.critical_section().__enter__()))
        thread = started(points)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)

    def test_children_inherit_nothing(self):
        """a section does not protect a thread that is started in it"""
        with bough.critical_section():
            thread = started(points)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)


class Cleanup(unittest.TestCase):
    @in_a_thread
    def test_protects_from_what_was_delivered(self):
        """it keeps an interrupt out that was delivered before (rule 20)"""
        interrupt_myself()
        try:
            bough.check_interrupt()
        except ThreadExit:
            with bough.cleanup():
                bough.check_interrupt()
                self.assertTrue(bough.interruption_requested())
            with self.assertRaises(ThreadExit):
                bough.check_interrupt()
        else:
            self.fail("nothing was raised")

    @in_a_thread
    def test_not_from_what_was_not(self):
        """it does not keep an interrupt out that was not delivered yet, or comes later"""
        interrupt_myself()
        with self.assertRaises(ThreadExit), bough.cleanup():
            bough.check_interrupt()
        bough.clear_interrupt()
        with self.assertRaises(ThreadExit), bough.cleanup():
            interrupt_myself()
            bough.check_interrupt()

    @in_a_thread
    def test_grace(self):
        """for a grace period that starts at the delivery"""
        begin = time.monotonic()
        interrupt_myself()
        with contextlib.suppress(ThreadExit):
            bough.check_interrupt()
        with self.assertRaises(ThreadExit), bough.cleanup(grace=0.2):
            points()
        self.assertTrue(0.2 <= time.monotonic() - begin < 4 * SCALE)

    def test_blocking_calls(self):
        """blocking calls in it are not interrupted"""
        def run():
            try:
                read(r)
            finally:
                with bough.cleanup():
                    cut.open()
                    thread.got = read(r)

        with pipe() as (r, w):
            cut = Gate()
            thread = started(run, enable_io_interrupt=True)
            thread.interrupt()
            cut.passed()
            self.assertTrue(still_there(thread))
            __import__("os").write(w, b"x")
            self.assertIsInstance(ended(thread), ThreadExit)
            self.assertEqual(thread.got, b"x")

    def test_after_asynchronous_delivery(self):
        """an asynchronous exception counts as delivery, too"""
        def run():
            try:
                bytecode()
            finally:
                with bough.cleanup():
                    bough.check_interrupt()
                    seen.append(1)

        seen = []
        thread = started(run, enable_async_interrupt=True)
        until_inside(thread, bytecode)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)
        self.assertEqual(seen, [1])


class Allow(unittest.TestCase):
    def protected(self, function):
        thread = started(function, cls=bough.ProtectedThread)
        error = ended(thread)
        if error is not None:
            raise error

    def test_only_inside(self):
        """a thread that was started disabled admits interrupts only inside"""
        def run():
            interrupt_myself()
            bough.check_interrupt()
            with self.assertRaises(ThreadExit):
                with bough.allow_interruption:
                    bough.check_interrupt()
            bough.check_interrupt()

        self.protected(run)

    def test_pending_before(self):
        """an interrupt that was posted before is delivered inside"""
        def run():
            poll_for(bough.interruption_requested)
            with self.assertRaises(ThreadExit), bough.allow_interruption:
                read(r)

        with pipe() as (r, w):
            thread = started(run, cls=bough.ProtectedThread, enable_io_interrupt=True)
            thread.interrupt()
            self.assertIsNone(ended(thread))

    def test_not_through_a_critical_section(self):
        """the region never lifts a critical section around it (rule 14)"""
        def run():
            interrupt_myself()
            with bough.critical_section(), bough.allow_interruption:
                bough.check_interrupt()
            with bough.allow_interruption, bough.critical_section():
                bough.check_interrupt()

        self.protected(run)

    @in_a_thread
    def test_elsewhere_it_changes_nothing(self):
        """in a thread that was not started disabled it changes nothing"""
        interrupt_myself()
        with self.assertRaises(ThreadExit), bough.allow_interruption:
            bough.check_interrupt()
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()

    def test_children_of_a_protected_thread(self):
        """the level is not inherited: a branch's children are interrupted as usual"""
        def run():
            with bough.branch() as b:
                child = b.add(points)
                child.interrupt()
                child.join()
                return child.outcome

        thread = started(run, cls=bough.ProtectedThread)
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, "interrupted")


def nested(depth, file):
    """Enters regions at one instruction of a code object, and at others."""
    if depth == 0:
        bough.dump(file)
        return
    with bough.critical_section():
        with bough.cleanup():
            nested(depth - 1, file)


def many(file, functions):
    """Functions with different lines, which have more places than the package keeps."""
    for line in range(1, functions + 1):
        names = {"bough": bough}
        exec(compile("\n" * line + "def f(file):\n with bough.critical_section(): bough.dump(file)", f"file-{line}", "exec"), names)
        names["f"](file)


class Places(unittest.TestCase):
    """Where a region was entered, as the dump shows it."""

    def dumped(self, function, *args):
        with tempfile.TemporaryFile("w+") as file:
            function(*args, file) if function is nested else function(file, *args)
            file.seek(0)
            return re.findall(r"^ +(critical section|cleanup region) at (?:.*/)?([^/]+:\d+) ", file.read(), re.M)

    def test_file_and_line(self):
        """each region has its line, also when the same code enters it again"""
        first = nested.__code__.co_firstlineno
        places = [
            ("critical section", f"test_levels.py:{first + 5}"),
            ("cleanup region", f"test_levels.py:{first + 6}"),
        ]
        for depth in 1, 2, 3:
            self.assertEqual(sorted(self.dumped(nested, depth)), sorted(places * depth))

    def test_code_that_is_gone(self):
        """code at the address of freed code gets the right place"""
        found = self.dumped(many, 200)
        self.assertEqual(found, [("critical section", f"file-{line}:{line + 2}") for line in range(1, 201)])

    def test_a_long_function(self):
        """entering a region takes no longer far down in a long function"""
        short = "def f(n, region):\n for _ in range(n):\n  with region(): pass\n"
        long = short.replace("\n", "\n if n < 0:\n" + "  x = n * 2; y = x + 1\n" * 2000, 1)
        functions = []
        for source in short, long:
            names = {}
            exec(source, names)
            functions.append(names["f"])
        times = [[], []]
        for _ in range(20):
            for function, taken in zip(functions, times):
                begin = time.thread_time()
                function(200, bough.critical_section)
                taken.append(time.thread_time() - begin)
        self.assertLess(min(times[1]), 5 * min(times[0]))


if __name__ == "__main__":
    unittest.main()
