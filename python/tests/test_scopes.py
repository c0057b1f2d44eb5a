# SPDX-License-Identifier: MIT
"""Scopes: fail_after() and the like (rules 7, 27, 33), as blocks, in any thread."""
import contextlib
import math
import os
import threading
import time
import traceback
import unittest

import bough
from bough import CancelScope, ThreadExit, fail_after, fail_at, move_on_after, move_on_at
from branching import ENOUGH, A, block
from tools import Gate, ended, pipe, started

limit = 120
stays = ("anon_inode:*event*", "bough*")  # the async thread, from its first use on
SOON = 0.02


def passed():
    return time.monotonic() - 1


class Blocks(unittest.TestCase):
    def test_fail_after(self):
        """raises TimeoutError, which shows where the block was"""
        with self.assertRaises(TimeoutError) as caught, fail_after(SOON) as scope:
            block()
        self.assertIn("the deadline of fail_after(0.02) has passed", str(caught.exception))
        self.assertIn("in block", caught.exception.__notes__[0])
        self.assertIsNone(caught.exception.__cause__)
        self.assertTrue(scope.cancelled_caught)
        self.assertTrue(scope.cancel_called)
        time.sleep(0.001)  # is not interrupted

    def test_move_on_after(self):
        with move_on_after(SOON) as scope:
            block()
        self.assertTrue(scope.cancelled_caught)
        time.sleep(0.001)

    def test_at(self):
        with self.assertRaises(TimeoutError), fail_at(time.monotonic() + SOON):
            block()
        with move_on_at(time.monotonic() + SOON) as scope:
            block()
        self.assertTrue(scope.cancelled_caught)

    def test_in_time(self):
        for make in fail_after, move_on_after:
            with make(60) as scope:
                time.sleep(0.001)
            self.assertFalse(scope.cancelled_caught)
            self.assertFalse(scope.cancel_called)

    def test_no_limit(self):
        for scope in fail_after(math.inf), fail_after(None), move_on_at(math.inf), fail_at(None), CancelScope():
            with scope:
                self.assertEqual(scope.deadline, math.inf)
                bough.check_interrupt()

    def test_its_time_counts_from_the_entry(self):
        scope = fail_after(60)
        before = scope.deadline
        time.sleep(SOON)
        with scope:
            self.assertGreater(scope.deadline, before)
            self.assertAlmostEqual(scope.deadline, time.monotonic() + 60, delta=5)
            self.assertEqual(scope.deadline, scope.deadline)

    def test_a_deadline_that_has_passed(self):
        """interrupts the first point, but not a block without points"""
        for make, given in (fail_after, 0), (fail_at, passed()):
            with make(given):
                pass
            with self.assertRaises(TimeoutError), make(given):
                bough.check_interrupt()
        with move_on_at(passed()) as scope:
            bough.check_interrupt()
        self.assertTrue(scope.cancelled_caught)

    def test_a_completed_block_has_succeeded(self):
        """a block that reaches its end has not failed, even if its time was over or an interrupt was swallowed"""
        with fail_at(passed()) as scope:
            done = True
        self.assertTrue(done and scope.cancel_called)
        with fail_at(passed()) as scope:
            with contextlib.suppress(ThreadExit):
                bough.check_interrupt()
        self.assertFalse(scope.cancelled_caught)

    def test_sticky(self):
        times = 0
        with move_on_at(passed()) as scope:
            for _ in range(3):
                try:
                    bough.check_interrupt()
                except ThreadExit as exit:
                    self.assertEqual(exit.record.kind, "timeout")
                    times += 1
            bough.check_interrupt()
        self.assertEqual((times, scope.cancelled_caught), (3, True))

    def test_an_error_of_the_block(self):
        """leaves the block unchanged, also if it comes after the interrupt"""
        error = A()
        for make in fail_after, move_on_after:
            with self.assertRaises(A) as caught, make(60) as scope:
                raise error
            self.assertIs(caught.exception, error)
            with self.assertRaises(A) as caught, make(0) as scope:
                try:
                    bough.check_interrupt()
                finally:
                    raise error
            self.assertIs(caught.exception, error)
            self.assertFalse(scope.cancelled_caught)

    def test_context(self):
        """of an error stays, and a return value is returned"""

        def work():
            with fail_after(60):
                try:
                    raise KeyError
                except KeyError:
                    raise A

        with self.assertRaises(A) as caught:
            work()
        self.assertIsInstance(caught.exception.__context__, KeyError)

    def test_traceback(self):
        """shows the lines of the program, and none of bough"""

        @fail_after(SOON)
        def decorated():
            block()

        def blocked():
            with fail_after(SOON):
                block()

        for work in decorated, blocked:
            try:
                work()
            except TimeoutError as error:
                files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
            self.assertEqual(files, {__file__})

    def test_in_main_and_threads(self):
        """a scope needs no opt-in: plain threads, pools, main"""
        from concurrent.futures import ThreadPoolExecutor

        def work():
            with pipe() as (r, w), move_on_after(SOON) as scope:
                os.read(r, 1)
            return scope.cancelled_caught

        self.assertTrue(work())
        results = []
        thread = threading.Thread(target=lambda: results.append(work()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            results.append(pool.submit(work).result())
        with bough.branch() as b:
            child = b.add(work)
        self.assertEqual((results, child.outcome), ([True, True], "ok"))

    def test_not_after_the_block(self):
        """a thread that has not opted in is not interrupted after the block"""

        def work():
            with move_on_after(SOON):
                block()
            behind.open()
            with contextlib.suppress(ThreadExit):
                gate.passed()
                return "passed"

        gate, behind = Gate(), Gate()
        thread = started(work, cls=threading.Thread)
        behind.passed()
        bough.interrupt(thread)
        gate.open()
        ended(thread)
        self.assertEqual(thread.result, "passed")

    def test_exit_stack(self):
        with contextlib.ExitStack() as stack:
            scope = stack.enter_context(move_on_after(SOON))
            block()
        self.assertTrue(scope.cancelled_caught)

    def test_generator(self):
        """a context manager with a scope in it"""

        @contextlib.contextmanager
        def limited():
            with move_on_after(SOON) as scope:
                yield scope

        with limited() as scope:
            block()
        self.assertTrue(scope.cancelled_caught)

    def test_client_error(self):
        """the error that a library makes of the interrupt is the cause"""

        def library():
            try:
                block()
            except BaseException as error:
                raise ValueError("the connection is lost") from error

        with self.assertRaises(TimeoutError) as caught, fail_after(SOON):
            library()
        self.assertIsInstance(caught.exception.__cause__, ValueError)

    def test_critical_section(self):
        """protects like Trio's shield"""
        with self.assertRaises(TimeoutError), fail_after(0):
            with bough.critical_section():
                time.sleep(SOON)
                done = True
            bough.check_interrupt()
        self.assertTrue(done)

    def test_repr(self):
        scope = fail_after(5)
        self.assertEqual(repr(scope), "<bough.fail_after(5): not entered>")
        with scope:
            self.assertRegex(repr(scope), r"^<bough.fail_after\(5\): open, \d.*s left>$")
        self.assertEqual(repr(scope), "<bough.fail_after(5): ended>")
        with move_on_after(SOON) as scope:
            block()
        self.assertEqual(repr(scope), "<bough.move_on_after(0.02): ended by its deadline>")
        with CancelScope() as scope:
            scope.cancel()
            block()
        self.assertEqual(repr(scope), "<bough.move_on_at(inf): cancelled>")


class Cancels(unittest.TestCase):
    def test_by_another_thread(self):
        for make in fail_after, move_on_after:
            with make(60) as scope:
                threading.Timer(SOON, scope.cancel, ("enough",)).start()
                try:
                    block()
                except ThreadExit as exit:
                    self.assertEqual((exit.record.reason, exit.record.kind), ("enough", "stop"))
                    raise
            self.assertTrue(scope.cancelled_caught)
            self.assertTrue(scope.cancel_called)

    def test_by_the_block(self):
        with CancelScope() as scope:
            scope.cancel()
            self.assertTrue(scope.cancel_called)
            self.assertFalse(scope.cancelled_caught)
            bough.check_interrupt()
        self.assertTrue(scope.cancelled_caught)

    def test_before_the_entry(self):
        scope = move_on_after(60)
        scope.cancel("before")
        self.assertTrue(scope.cancel_called)
        with scope:
            self.assertEqual(bough.reason().reason, "before")
            bough.check_interrupt()
        self.assertTrue(scope.cancelled_caught)

    def test_after_the_end(self):
        with move_on_after(60) as scope:
            pass
        scope.cancel()
        self.assertFalse(scope.cancel_called)
        bough.check_interrupt()

    def test_twice(self):
        with move_on_after(60) as scope:
            scope.cancel("first")
            scope.cancel("second")
            self.assertEqual(bough.reason().reason, "first")
            bough.check_interrupt()


class Deadlines(unittest.TestCase):
    def test_earlier(self):
        with self.assertRaises(TimeoutError), fail_after(60) as scope:
            scope.deadline = time.monotonic() + SOON
            block()

    def moved_in_time(self, work):
        """work(scope, limit) moves the deadline of its block, which has this limit, so that the block reaches its
        end."""
        for limit in 0.2, 2, ENOUGH:  # a longer limit, if the deadline has passed before it was moved
            with fail_after(limit) as scope, contextlib.suppress(ThreadExit):
                work(scope, limit)
                break
        else:
            self.fail("the deadline was not moved")

    def test_later(self):
        def work(scope, limit):
            scope.deadline += 60
            self.assertGreater(scope.deadline, time.monotonic() + 40)
            time.sleep(limit + 0.1)

        self.moved_in_time(work)

    def test_never(self):
        def work(scope, limit):
            scope.deadline = math.inf
            self.assertEqual(scope.deadline, math.inf)
            time.sleep(limit + 0.1)

        self.moved_in_time(work)

    def test_none(self):
        with fail_after(0.2) as scope:
            scope.deadline = None
            self.assertEqual(scope.deadline, math.inf)

    def test_what_is_set_is_read(self):
        with fail_after(5) as scope:
            scope.deadline = at = time.monotonic() + 7.123456789
            self.assertEqual(scope.deadline, at)

    def test_into_the_past(self):
        with move_on_after(60) as scope:
            scope.deadline = passed()
            self.assertTrue(scope.cancel_called)
            bough.check_interrupt()
        self.assertTrue(scope.cancelled_caught)

    def test_back_out_of_the_past(self):
        """does not take back what was posted"""
        with move_on_at(passed()) as scope:
            scope.deadline = math.inf
            bough.check_interrupt()
        self.assertTrue(scope.cancelled_caught)

    def test_before_the_entry(self):
        scope = fail_after(60)
        scope.deadline = passed()
        with self.assertRaises(TimeoutError), scope:
            bough.check_interrupt()

    def test_a_second_scope_in_the_same_slot(self):
        """is not ended by the deadline of the first"""
        for _ in range(200):
            with fail_after(0.001):
                pass
            with fail_after(60):
                time.sleep(0.0002)


class Nested(unittest.TestCase):
    def test_inner_first(self):
        with move_on_after(60) as outer:
            with move_on_after(SOON) as inner:
                block()
            behind = True
        self.assertEqual((inner.cancelled_caught, outer.cancelled_caught, behind), (True, False, True))

    def test_outer_first(self):
        """the outer one ends both"""
        with move_on_after(SOON) as outer:
            with fail_after(60) as inner:
                block()
            self.fail("is not reached")
        self.assertEqual((inner.cancelled_caught, outer.cancelled_caught), (False, True))

    def test_both(self):
        """have expired: the outer one ends both, no code between their ends runs, and the inner one raises no TimeoutError"""
        for late in bough.check_interrupt, lambda: time.sleep(ENOUGH):
            with move_on_at(passed()) as outer:
                with fail_at(passed()) as inner:
                    late()
                self.fail("is not reached")
            self.assertEqual((inner.cancelled_caught, outer.cancelled_caught), (False, True))

    def test_both_and_the_inner_is_swallowed(self):
        """the outer one interrupts the next call"""
        with self.assertRaises(TimeoutError) as caught, fail_at(passed()):
            with fail_at(passed()):
                with contextlib.suppress(ThreadExit):
                    time.sleep(ENOUGH)
            block()
        self.assertIn("fail_at", str(caught.exception))

    def test_three(self):
        with self.assertRaises(TimeoutError), fail_after(0):
            with move_on_after(0), fail_after(60), move_on_after(0):
                block()
            self.fail("is not reached")

    def test_in_a_branch(self):
        """and a branch in it: an interrupt from further out goes on"""
        with bough.branch() as b:
            with fail_after(60) as scope:
                with bough.branch() as inner:
                    child = inner.add(block)
                    b.interrupt()
        self.assertTrue(b.interrupted)
        self.assertFalse(scope.cancelled_caught)
        self.assertEqual(child.outcome, "interrupted")
        with move_on_after(SOON) as scope, bough.branch() as inner:
            child = inner.add(block)
        self.assertEqual((child.outcome, scope.cancelled_caught), ("interrupted", True))

    def test_stopped_and_over(self):
        """the thread's interrupt wins over the deadline"""

        def work():
            with move_on_at(passed()):
                bough.interrupt(threading.current_thread(), "stop")
                bough.check_interrupt()
            return "went on"

        thread = started(work)
        self.assertIsInstance(ended(thread), ThreadExit)

    def test_in_cleanup(self):
        """the limit of a step of the cleanup does not end the rest of it"""
        steps, begun = [], Gate()

        def work():
            try:
                begun.open()
                block()
            finally:
                with move_on_after(SOON) as scope:
                    block()
                steps.append(scope.cancelled_caught)
                with self.assertRaises(TimeoutError), fail_after(SOON):
                    block()
                steps.append("the rest")

        with bough.branch() as b:
            child = b.add(work)
            begun.passed()
            b.interrupt()
        self.assertEqual((steps, child.outcome), ([True, "the rest"], "interrupted"))

    def test_branches_whose_deadlines_are_over(self):
        """the inner one's is raised; the outer one's interrupts the next call, not only the next point"""
        begun = time.monotonic()
        with self.assertRaises(TimeoutError) as caught, bough.branch("outer", deadline=passed()):
            with self.assertRaises(TimeoutError) as inner, bough.branch("inner", deadline=passed()):
                block()
            block()
        self.assertIn("inner", str(inner.exception))
        self.assertIn("outer", str(caught.exception))
        self.assertLess(time.monotonic() - begun, 4)


if __name__ == "__main__":
    unittest.main()
