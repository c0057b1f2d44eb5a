# SPDX-License-Identifier: MIT
"""Rule 45: Future.cancel() at each step of an item's way through its worker: no interrupt is lost, and none stays with the worker."""
import concurrent.futures
import os
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import bough

limit = 120
stays = ("anon_inode:*event*",)
ENOUGH = 20 * float(os.environ.get("T_SCALE", 1))


def setUpModule():
    bough.opt_in(pools=True)


class Stepwise(concurrent.futures.Future):
    """Calls step(name) on the worker at each step of its item, where the state that cancel() finds changes."""

    step = staticmethod(lambda name: None)
    call = None

    def __setattr__(self, name, value):
        if name != "_bough_call":
            return super().__setattr__(name, value)
        begins = value is not None
        self.call = value if begins else self.call
        self.step("before it begins" if begins else "before it ends")
        super().__setattr__(name, value)
        self.step("published" if begins else "withdrawn")

    def set_running_or_notify_cancel(self):
        runs = super().set_running_or_notify_cancel()
        self.step("running")
        return runs


class Order(unittest.TestCase):
    """cancel() comes when the item has just reached a step, and the worker continues when cancel() has returned"""

    def setUp(self):
        self.pool = ThreadPoolExecutor(1)
        self.addCleanup(self.pool.shutdown)

    def cancelled_at(self, name, blocks=True):
        """Cancels at this step. Returns the future, the result of cancel(), and whether the item was called."""
        reached, done, called, runs = threading.Event(), threading.Event(), [], threading.Event()

        def step(now):
            if now == name and not reached.is_set():
                reached.set()
                while not done.is_set():  # polls, because an interrupt would end a wait
                    pass

        def notify_all(original=runs._cond.notify_all):
            original()
            step("in the event's lock")

        runs._cond.notify_all = notify_all

        def work():
            called.append(threading.current_thread())
            runs.set()
            step("before it blocks")
            if blocks:
                time.sleep(ENOUGH * 3)
            step("before it returns")
            return "returned"

        made = mock.patch.object(concurrent.futures._base, "Future", Stepwise)
        with made, mock.patch.object(Stepwise, "step", staticmethod(step)):
            future = self.pool.submit(work)
            self.assertTrue(reached.wait(ENOUGH), name)
            answer = future.cancel()
            done.set()
            waited = concurrent.futures.wait([future], ENOUGH)
        del runs._cond.notify_all
        if not waited.done:
            for thread in called:
                bough.interrupt(thread, "for the pool to end")
            self.fail(f"cancel() {name!r} has returned {answer}, and the item blocks")
        return future, answer, bool(called)

    def nothing_sticks(self):
        """Checks that the worker's next item blocks, and is not interrupted."""

        def look():
            time.sleep(0.001)
            bough.check_interrupt()
            return bough.interruption_requested(), bough.reason()

        self.assertEqual(self.pool.submit(look).result(ENOUGH), (False, None))

    def test_not_called(self):
        """it does not run yet: it never will"""
        for name in "before it begins", "published":
            with self.subTest(name):
                future, answer, called = self.cancelled_at(name)
                self.assertEqual((answer, future.cancelled(), called), (True, True, False))
                self.nothing_sticks()

    def test_interrupted(self):
        """it runs, and has not come to its first blocking call: that is interrupted; or its function has not been called: it never is"""
        for name in "running", "in the event's lock", "before it blocks":
            with self.subTest(name):
                future, answer, called = self.cancelled_at(name)
                self.assertEqual((answer, future.cancelled(), called), (True, True, name != "running"))
                self.nothing_sticks()

    def test_too_late(self):
        """it blocks no more: it has its result, and the next item runs"""
        for name, asked in ("before it returns", True), ("before it ends", False), ("withdrawn", False):
            with self.subTest(name):
                future, answer, _ = self.cancelled_at(name, blocks=False)
                self.assertEqual((answer, future.result()), (asked, "returned"))
                self.nothing_sticks()

    def test_next_item(self):
        """cancel() has examined an item, and posts when the worker runs the next item, which is not interrupted"""
        ended, _, _ = self.cancelled_at("withdrawn", blocks=False)
        began, posted = threading.Event(), threading.Event()

        def work():
            began.set()
            while not posted.is_set():
                pass
            return bough.interruption_requested(), bough.reason()

        following = self.pool.submit(work)
        self.assertTrue(began.wait(ENOUGH))
        answer = ended.call.interrupt("its future was cancelled")
        posted.set()
        self.assertEqual((answer, following.result(ENOUGH)), (False, (False, None)))


if __name__ == "__main__":
    unittest.main()
