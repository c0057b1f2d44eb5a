# SPDX-License-Identifier: MIT
"""An asynchronous exception is raised at the instruction that was checked (rule 43), and not before the thread's time to reach a
point is over (rule 14)."""
import functools
import os
import sys
import threading
import time
import unittest

import bough
from tools import bytecode, ended, open_what_stays, started, until, until_blocked

setUpModule = open_what_stays


class Posted(BaseException):
    pass


class NeverLater(unittest.TestCase):
    """However long the exception waits, it is raised at the instruction that was checked, and at no later one."""

    limit = 120

    def looked_at(self, function):
        """Posts to a thread that runs function(run), where run() is blocked in an iterator, and has a `finally`.
        Returns after the async thread has checked that thread often, first every 5 ms, then more and more rarely: the
        thread, the descriptor that lets it continue, and the list of what its `finally` has done."""
        r, w = os.pipe()
        self.addCleanup(os.close, r)
        seen = []

        def run():
            try:
                # releases the GIL, and does not check the eval breaker afterwards
                for _ in iter(functools.partial(os.read, r, 1), b""):
                    pass
            finally:
                seen.append("finally")
                for _ in range(300):
                    pass
                seen.append("done")
            bytecode()

        thread = started(function, run, cls=threading.Thread)  # its calls are not interrupted
        until_blocked(thread)
        bough.raise_exc(thread, Posted)
        before = bough._bough.async_exc_counts()[1]
        until(lambda: bough._bough.async_exc_counts()[1] >= before + 8, "enough looks")
        return thread, w, seen

    def test_blocked_in_an_iterator(self):
        """if the loop ends then, and a `finally` begins, the exception is raised after the `finally`"""
        thread, w, seen = self.looked_at(lambda run: run())
        os.close(w)
        self.assertIsInstance(ended(thread), Posted)
        self.assertEqual(seen, ["finally", "done"])

    def test_in_the_loop(self):
        """if the loop goes on, the exception is raised in it"""
        thread, w, seen = self.looked_at(lambda run: run())
        while thread.is_alive():
            os.write(w, b"x")
            time.sleep(0.001)
        os.close(w)
        self.assertIsInstance(ended(thread), Posted)
        self.assertEqual(seen, ["finally", "done"])

    def test_nothing_is_left(self):
        """a debugger that is started later gets no unexpected event"""
        events = []

        def both(run):
            try:
                run()
            except Posted:
                pass
            sys.settrace(lambda frame, event, arg: events.append(event))
            sys._getframe().f_trace = lambda frame, event, arg: events.append(event)
            for _ in range(300):
                pass
            sys.settrace(None)

        thread, w, seen = self.looked_at(both)
        os.close(w)
        self.assertIsNone(ended(thread))
        self.assertEqual(seen, ["finally", "done"])
        self.assertIn("line", events)
        self.assertNotIn("opcode", events)


class Turn(unittest.TestCase):
    """The thread's time to reach a point: only its own execution counts, not that of other threads."""

    def turns(self, function, rounds):
        """Interrupts `rounds` threads that run the function. Returns how many turns were over because the thread had
        run, and how many because the time was over."""
        before = bough._bough.turn_counts()
        for _ in range(rounds):
            thread = started(function, enable_async_interrupt=True)
            thread.interrupt()
            self.assertIsInstance(ended(thread), bough.ThreadExit)
        return [now - then for now, then in zip(bough._bough.turn_counts(), before, strict=True)]

    def test_one_that_computes(self):
        """gets the exception soon, without waiting for the time limit"""
        self.assertGreater(self.turns(bytecode, 10)[0], 0)

    def test_one_that_hardly_runs(self):
        """gets the exception at the time limit"""

        def sleeps():
            while True:
                time.sleep(0.02)

        before = bough._bough.turn_counts()
        for _ in range(2):
            thread = started(sleeps, cls=threading.Thread)  # its calls are not interrupted
            bough.raise_exc(thread, Posted)
            self.assertIsInstance(ended(thread), Posted)
        self.assertGreater(bough._bough.turn_counts()[1], before[1])

    def test_one_that_comes_to_points(self):
        """gets the exception there, even if other threads hold the GIL for longer than the limit"""
        over, at_a_point = [], []

        def computes():
            while not over:
                pass

        def comes_to_points():
            point = None
            try:
                while True:
                    point = True
                    bough.check_interrupt()
                    point = False
                    for _ in range(2000):
                        pass
            except bough.ThreadExit:
                at_a_point.append(point)
                raise

        others = [started(computes) for _ in range(2)]
        by_run, by_time = self.turns(comes_to_points, 5)
        over.append(True)
        for thread in others:
            self.assertIsNone(ended(thread))
        # only a thread that gets no processor for 50 ms may be interrupted elsewhere
        self.assertEqual(by_run, 0)
        self.assertLessEqual(at_a_point.count(False), by_time)


if __name__ == "__main__":
    unittest.main()
