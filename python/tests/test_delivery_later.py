# SPDX-License-Identifier: MIT
"""What is raised asynchronously comes in where the thread was looked at (rule 43), and not before its turn is over (rule 14)."""
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
    """However long it waits: it comes in where the thread was looked at, and not later on."""

    limit = 120

    def looked_at(self, function):
        """A thread that runs function(run), where run() is blocked in an iterator and has a `finally` after that; what it has
        been posted came when it had been looked at often: after 5 ms, and then more and more rarely. The thread, what lets it go on, and
        what its `finally` has done."""
        r, w = os.pipe()
        self.addCleanup(os.close, r)
        seen = []

        def run():
            try:
                for _ in iter(functools.partial(os.read, r, 1), b""):  # gives the interpreter lock away, and looks at no eval breaker then
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
        """where the loop ends by that, and a `finally` begins, the exception comes after the `finally`"""
        thread, w, seen = self.looked_at(lambda run: run())
        os.close(w)
        self.assertIsInstance(ended(thread), Posted)
        self.assertEqual(seen, ["finally", "done"])

    def test_in_the_loop(self):
        """where it goes on, the exception comes in there"""
        thread, w, seen = self.looked_at(lambda run: run())
        while thread.is_alive():
            os.write(w, b"x")
            time.sleep(0.001)
        os.close(w)
        self.assertIsInstance(ended(thread), Posted)
        self.assertEqual(seen, ["finally", "done"])

    def test_nothing_is_left(self):
        """a debugger that comes later gets no event that it does not know"""
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
    """The thread's time to come to a point: what it executes counts, not what others do meanwhile."""

    def turns(self, function, rounds):
        """Of so many threads that run the function and are interrupted: how many were over because the thread had run, and how many
        by time."""
        before = bough._bough.turn_counts()
        for _ in range(rounds):
            thread = started(function, enable_async_interrupt=True)
            thread.interrupt()
            self.assertIsInstance(ended(thread), bough.ThreadExit)
        return [now - then for now, then in zip(bough._bough.turn_counts(), before, strict=True)]

    def test_one_that_computes(self):
        """has it soon, and does not wait for time to pass"""
        self.assertGreater(self.turns(bytecode, 10)[0], 0)

    def test_one_that_hardly_runs(self):
        """gets it by time"""

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
        """gets it there, though other threads have the GIL for longer than that takes"""
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
        self.turns(comes_to_points, 5)
        over.append(True)
        for thread in others:
            self.assertIsNone(ended(thread))
        self.assertGreater(at_a_point.count(True), 2)  # a thread that gets no processor for 50 ms is interrupted elsewhere


if __name__ == "__main__":
    unittest.main()
