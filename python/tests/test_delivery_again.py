# SPDX-License-Identifier: MIT
"""Asynchronous delivery again and again in one thread: every record is delivered (rules 2, 43, 44)."""
import os
import threading
import time
import unittest

import bough
from bough import ThreadExit, branch
from tools import SCALE, A_WHILE, Gate, bytecode, ended, open_what_stays, pipe, started, until, until_blocked, until_inside

setUpModule = open_what_stays
stays = ("anon_inode:*event*",)

SOON = 0.05
LATE = 4 * SCALE  # less than the 5 s after which a record that stays pending is raised again anyway


class Posted(Exception):
    pass


def in_time(function, error=TimeoutError):
    """Whether the thread has raised that exception, and in time."""
    begin = time.monotonic()
    try:
        function()
    except error:
        return time.monotonic() - begin < LATE
    return False


def until_late():
    end = time.monotonic() + LATE
    while time.monotonic() < end:
        pass


def deadline():
    with branch(timeout=SOON):
        until_late()


def own_interrupt():
    bough.interrupt(threading.get_ident())
    until_late()


def own_exception():
    bough.raise_exc(threading.get_ident(), Posted)
    until_late()


def branch_interrupted():
    with branch() as b:
        b.interrupt()
        until_late()
    if not b.interrupted:
        raise AssertionError


def nested_deadlines():
    """Interrupts both blocks, the outer one after the inner one's error was handled."""
    with branch(timeout=2 * SOON):
        if not in_time(deadline):
            raise AssertionError
        until_late()


def inside_of_a_pending_one():
    """A deadline passes after the thread has handled an interrupt without clearing it."""
    if not in_time(own_interrupt, ThreadExit) or not in_time(deadline):
        raise AssertionError
    bough.clear_interrupt()


class Again(unittest.TestCase):
    limit = 120

    def everywhere(self, function):
        """Runs the test in a plain thread, a bough.Thread, a child and in main."""

        def run():
            bough.set_enable_async_interrupt(True)
            try:
                return function()
            finally:
                bough.set_enable_async_interrupt(False)

        for cls in (threading.Thread, bough.Thread):
            with self.subTest(cls.__module__):
                thread = started(run, cls=cls)
                self.assertIsNone(ended(thread))
                yield thread.result
        with self.subTest("child"):
            with branch() as b:
                child = b.add(run)
            yield child.result()
        with self.subTest("main"):
            yield run()

    def test_deadlines(self):
        """three, one after the other"""
        for result in self.everywhere(lambda: [in_time(deadline) for _ in range(3)]):
            self.assertEqual(result, [True] * 3)

    def test_switched_off_between(self):
        """as above, with the flag switched off and on between them"""
        def run():
            results = []
            for _ in range(3):
                results.append(in_time(deadline))
                bough.set_enable_async_interrupt(False)
                bough.set_enable_async_interrupt(True)
            return results

        for result in self.everywhere(run):
            self.assertEqual(result, [True] * 3)

    def test_interrupts(self):
        """cleared between them"""
        def run():
            return [in_time(own_interrupt, ThreadExit) and bough.clear_interrupt() for _ in range(3)]

        for result in self.everywhere(run):
            self.assertEqual(result, [True] * 3)

    def test_exceptions(self):
        """of raise_exc()"""
        for result in self.everywhere(lambda: [in_time(own_exception, Posted) for _ in range(3)]):
            self.assertEqual(result, [True] * 3)

    def test_nested(self):
        """deadlines of nested blocks"""
        for result in self.everywhere(lambda: in_time(nested_deadlines)):
            self.assertTrue(result)

    def test_inside_of_a_pending_one(self):
        """a deadline while an interrupt that was raised stays pending"""
        for result in self.everywhere(inside_of_a_pending_one):
            self.assertIsNone(result)

    def test_mixed(self):
        """each kind after each other kind"""
        sorts = {
            "deadline": lambda: in_time(deadline),
            "interrupt": lambda: in_time(own_interrupt, ThreadExit) and bough.clear_interrupt(),
            "exception": lambda: in_time(own_exception, Posted),
            "branch": lambda: branch_interrupted() is None,
        }

        def run():
            return [(one, other) for one in sorts for other in sorts if not (sorts[one]() and sorts[other]())]

        thread = started(run, enable_async_interrupt=True)
        thread.join(60)
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, [])

    def test_after_one_that_was_withdrawn(self):
        """armed, and withdrawn because the thread has entered a critical section"""
        def run():
            for _ in range(20):
                try:
                    bough.raise_exc(threading.get_ident(), Posted)
                    with bough.critical_section():
                        end = time.monotonic() + 0.1
                        while time.monotonic() < end:
                            pass
                        bough.clear_interrupt()
                except Posted:
                    pass
            return in_time(own_exception, Posted), in_time(deadline)

        thread = started(run, enable_async_interrupt=True)
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, (True, True))

    def test_what_stays_pending(self):
        """is not raised again at once: the cleanup after it may compute"""
        def run():
            try:
                bytecode()
            except ThreadExit:
                inside.open()
                end = time.monotonic() + A_WHILE + 0.2
                while time.monotonic() < end:
                    with bough.critical_section():
                        pass  # its end checks which interrupts are due
                return "computed"

        inside = Gate()
        thread = started(run, enable_async_interrupt=True)
        until_inside(thread, bytecode)
        thread.interrupt()
        inside.passed()
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, "computed")


class Checks(unittest.TestCase):
    """The async thread wakes only when an exception is due, and checks only the threads concerned."""

    limit = 60
    OTHERS = 60

    def counted(self, function):
        """How often the async thread woke while the function ran, and the number of threads that it checked."""
        wakes, looks = bough._bough.async_exc_counts()
        function()
        now = bough._bough.async_exc_counts()
        return now[0] - wakes, now[1] - looks

    def until_quiet(self, seconds=0.2):
        """Waits until the async thread has done the work for the start of the threads, and has slept for `seconds`."""
        until(lambda: self.counted(lambda: time.sleep(seconds)) == (0, 0), "a while without checks")

    def setUp(self):
        self.go, inside = threading.Event(), threading.Semaphore(0)
        run = lambda: (inside.release(), self.go.wait())
        self.threads = [started(run, enable_async_interrupt=True) for _ in range(self.OTHERS)]
        for _ in self.threads:
            inside.acquire()
        self.addCleanup(lambda: (self.go.set(), [ended(thread) for thread in self.threads]))

    def test_nothing_due(self):
        """it sleeps"""
        self.until_quiet(0.5)

    def test_one_that_is_in_c_code_for_long(self):
        """is checked rarely, and gets the exception at its first bytecode"""
        def run():
            while True:
                os.read(r, 1)

        with pipe() as (r, w):
            thread = started(run, cls=threading.Thread)  # its calls are not interrupted
            until_blocked(thread)
            bough.raise_exc(thread, Posted)
            time.sleep(1.3)  # after a second the async thread checks a thread that runs all the time only rarely
            begin = time.monotonic()
            looks = self.counted(lambda: time.sleep(0.5))[1]
            took = time.monotonic() - begin
            os.write(w, b"x")
            self.assertIsInstance(ended(thread), Posted)
        self.assertLessEqual(looks, 30 * took)

    def test_one_that_may_not_be_interrupted_now(self):
        """is checked, and no other thread"""
        def run():
            try:
                pass
            finally:
                inside.open()
                while not over:
                    pass
            bytecode()

        inside, over = Gate(), []
        thread = started(run)
        inside.passed()
        self.until_quiet()
        before = bough._bough.async_exc_counts()[1]
        thread.raise_exc(Posted)
        wakes, looks = self.counted(lambda: time.sleep(0.5))
        until(lambda: bough._bough.async_exc_counts()[1] > before + 1, "two checks")
        over.append(1)
        self.assertIsInstance(ended(thread), Posted)
        self.assertLessEqual(looks, wakes + 2)

    def test_blocks_with_callbacks(self):
        """on_interrupt() does not wake it if nothing is due"""
        def blocks():
            for _ in range(100):
                with bough.on_interrupt(lambda: None):
                    pass

        blocks()
        until(lambda: self.counted(blocks) == (0, 0), "blocks without checks")


if __name__ == "__main__":
    unittest.main()
