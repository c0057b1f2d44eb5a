# SPDX-License-Identifier: MIT
"""A block that an interrupt from further out has ended raises it (rule 27)."""
import concurrent.futures
import threading
import time
import unittest

import bough
from bough import ThreadExit, branch
from branching import A
from causes import Causes, limit, stays
from tools import Gate, ended, started


class OuterInterrupts(Causes):
    """A block that an outer interrupt has ended raises it, if nothing else does."""

    def gather(self, then=lambda: None):
        def child(fd):
            if fd:
                self.noted(time.sleep, 3600)()
            return fd

        with branch("inner") as b:
            children = [b.add(child, fd) for fd in (0, 1, 2)]
            then()
        self.went_on.append([c.result() for c in children])
        return self.went_on

    def setUp(self):
        super().setUp()
        self.went_on = []

    def tearDown(self):
        self.assertEqual(self.went_on, [])

    def test_child(self):
        with branch("outer") as outer:
            child = outer.add(self.gather)
            self.until_blocked(2)
            outer.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_child_alone(self):
        with branch("outer") as outer:
            child = outer.add(self.gather)
            self.until_blocked(2)
            child.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_deadline(self):
        with self.assertRaises(TimeoutError) as caught, branch("outer") as outer:
            self.gather(lambda: self.ends_when_blocked(outer, 2))
        text = "\n".join(caught.exception.__notes__)
        self.assertIn("in gather", text)
        self.assertIn("in child", text)

    def test_sibling(self):
        with self.assertRaises(A), branch("outer") as outer:
            outer.add(self.gather)
            self.until_blocked(2)
            raise A

    def test_supervisor(self):
        def work():
            with branch(supervisor=True) as b:
                b.add(self.noted(time.sleep, 3600))
            self.went_on.append(1)

        with branch() as outer:
            child = outer.add(work)
            self.until_blocked()
            outer.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_pool(self):
        bough.opt_in(pools=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            future = pool.submit(self.gather)
            self.until_blocked(2)
            future.cancel()
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result()

    def test_thread(self):
        thread = started(self.gather, enable_io_interrupt=True)
        self.until_blocked(2)
        thread.interrupt("enough")
        self.assertEqual(ended(thread).record.reason, "enough")

    def test_main(self):
        """interrupted as any thread"""
        self.once_blocked(bough.interrupt, threading.main_thread(), "enough")
        with self.assertRaises(ThreadExit) as caught:
            self.gather()
        self.assertEqual(caught.exception.record.reason, "enough")
        self.assertTrue(bough.clear_interrupt())

    def test_cleared_by_its_owner(self):
        """while the block waits: that does not make its results complete"""
        def work():
            with branch("inner") as b:
                b.add(self.noted(stubborn))
            self.went_on.append(1)

        def stubborn():
            try:
                time.sleep(3600)
            finally:
                interrupted.open()
                go.passed()

        go, interrupted = Gate(), Gate()
        with branch("outer") as outer:
            child = outer.add(work)
            self.until_blocked()
            outer.interrupt("enough")
            with bough.critical_section():
                interrupted.passed()
            outer.clear_interrupt()
            go.open()
        self.assertEqual(child.outcome, "interrupted")


class NoOuterInterrupts(Causes):
    """Blocks that end as without an outer interrupt."""

    def test_all_results(self):
        """the interrupt came, and every child had its result nevertheless"""
        def stubborn():
            try:
                time.sleep(3600)
            except ThreadExit:
                return 1

        def work():
            with branch() as b:
                child = b.add(self.noted(stubborn))
            return child.result()

        with branch() as outer:
            child = outer.add(work)
            self.until_blocked()
            outer.interrupt()
        self.assertEqual((child.outcome, child.result()), ("ok", 1))

    def test_one_child_alone(self):
        """a child that was interrupted alone, in a block that was not"""
        with branch() as b:
            child = b.add(self.noted(time.sleep, 3600))
            self.until_blocked()
            child.interrupt()
            child.join()
        self.assertEqual(child.outcome, "interrupted")

    def test_terminated(self):
        with branch() as b:
            child = b.add(self.noted(time.sleep, 3600))
            self.until_blocked()
            child.terminate()
        self.assertEqual(child.outcome, "interrupted")

    def test_own_stop(self):
        with branch() as b:
            b.add(time.sleep, 3600)
            b.interrupt()
        self.assertTrue(b.interrupted)

    def test_own_failure_first(self):
        def work():
            with branch() as b:
                b.add(time.sleep, 3600)
                b.add(self.fails)

        with self.assertRaises(A), branch() as outer:
            outer.add(work)

    @staticmethod
    def fails():
        raise A


if __name__ == "__main__":
    unittest.main()
