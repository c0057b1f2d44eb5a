# SPDX-License-Identifier: MIT
"""Branches: rules 7, 21, 23 to 31 and 33, in Python."""
import contextlib
import contextvars
import copy
import gc
import itertools
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import unittest
import warnings
from pathlib import Path

import bough
from bough import MultipleError, ThreadExit, branch
from process import ROOT, Process

limit = 60
stays = ("anon_inode:*eventfd*",)  # the one who delivers asynchronously has it, from first need on
SCALE = float(os.environ.get("T_SCALE", 1))
ENOUGH = 20 * SCALE


def until(true, what="what was waited for"):
    end = time.monotonic() + ENOUGH
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come")
        time.sleep(0.001)


def sleeps(tid):
    try:
        return Path(f"/proc/self/task/{tid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return False


def until_blocked(tid):
    """Asleep at several looks: not for the interpreter's lock alone."""
    for _ in range(4):
        until(lambda: sleeps(tid), "a blocked thread")
        time.sleep(0.006)


def block():
    time.sleep(ENOUGH * 3)
    raise AssertionError("nobody interrupted it")


def block_and(event):
    """Says when it begins, and how it ends."""
    event.began = True
    try:
        block()
    except BaseException as error:
        event.error = error
        raise


class Place:
    """What a child tells."""

    began, error = False, None


class Thing:
    def __init__(self, error=None):
        self.closed, self.error, self.by = 0, error, None

    def close(self):
        self.closed += 1
        self.by = threading.get_ident()
        if self.error:
            raise self.error


class A(Exception):
    pass


class B(Exception):
    pass


def fail(error):
    raise error


def fail_once_blocked(tid, error):
    until_blocked(tid)
    raise error


class Ends(unittest.TestCase):
    """Rules 23 to 25."""

    def test_leaving_well_waits(self):
        """an ordinary end waits for the children, and interrupts nobody"""
        gate, done = threading.Event(), []

        def child():
            gate.wait()
            done.append(bough.interruption_requested())

        with branch() as b:
            child = b.add(child)
            b.add(lambda: (until(lambda: True), gate.set()))
        self.assertEqual(done, [False])
        self.assertFalse(child.is_alive())
        self.assertFalse(b.interrupted)

    def test_body_fails(self):
        """leaving by an exception interrupts the children, joins them, and raises it as it is"""
        place, error = Place(), A("body")
        with self.assertRaises(A) as caught, branch() as b:
            child = b.add(block_and, place)
            until(lambda: place.began)
            raise error
        self.assertIs(caught.exception, error)
        self.assertEqual(child.outcome, "interrupted")
        self.assertEqual(place.error.record.kind, "sibling")

    def test_first_failure_wakes_a_blocked_body(self):
        """a child's failure ends the body's accept()"""
        error = A("child")
        with socket.create_server(("127.0.0.1", 0)) as server:
            with self.assertRaises(A) as caught, branch() as b:
                b.add(fail_once_blocked, threading.get_native_id(), error)
                server.accept()
        self.assertIs(caught.exception, error)
        self.assertIsNone(error.__context__)

    def test_first_failure_interrupts_siblings(self):
        places = [Place() for _ in range(5)]
        with self.assertRaises(A), branch() as b:
            children = [b.add(block_and, place) for place in places]
            until(lambda: all(place.began for place in places))
            b.add(fail, A())
        self.assertEqual({child.outcome for child in children}, {"interrupted"})
        self.assertTrue(all(isinstance(place.error, ThreadExit) for place in places))
        self.assertIn("A", places[0].error.record.reason)

    def test_body_that_does_not_block_meets_it_at_a_point(self):
        with self.assertRaises(A), branch() as b:
            b.add(fail, A())
            while True:
                bough.check_interrupt()

    def test_child_stopped_alone(self):
        """is an outcome, not a failure"""
        with branch() as b:
            one, gate = b.add(block), threading.Event()
            other = b.add(lambda: gate.wait() and "well")
            one.interrupt("just this one")
            one.join()
            gate.set()
        self.assertEqual((one.outcome, other.outcome, other.result), ("interrupted", "ok", "well"))
        self.assertFalse(b.interrupted)

    def test_own_stop_ends_well(self):
        """(rule 27) and says so"""
        with branch() as b:
            child = b.add(block)
            b.add(lambda: b.interrupt("enough"))
            block()
        self.assertTrue(b.interrupted)
        self.assertEqual(child.outcome, "interrupted")
        time.sleep(0.001)  # nothing is left of it

    def test_own_stop_of_a_branch_whose_body_is_done(self):
        with branch() as b:
            b.add(block)
            threading.Timer(0.05, b.interrupt).start()
        self.assertTrue(b.interrupted)

    def test_interrupt_after_the_end_is_nothing(self):
        with branch() as b:
            child = b.add(int)
        b.interrupt()
        child.interrupt()
        with self.assertRaises(ValueError):
            child.raise_exc(A)
        bough.check_interrupt()

    def test_outer_interrupt_goes_on(self):
        """an interrupt from further out ends the inner one, propagates, and is pending still"""
        told = []

        def middle():
            try:
                with branch("inner") as inner:
                    inner.add(block)
                    block()
            except ThreadExit as exit:
                told.append((inner.interrupted, exit.record.reason))
                try:
                    bough.check_interrupt()
                except ThreadExit:
                    told.append("still")
                raise

        with branch("outer") as outer:
            child = outer.add(middle)
            outer.add(lambda: outer.interrupt("from outside"))
        self.assertEqual(told, [(False, "from outside"), "still"])
        self.assertEqual(child.outcome, "interrupted")

    def test_outer_interrupt_of_an_inner_body(self):
        """the inner branch is left, the outer one absorbs its own"""
        with branch("outer") as outer:
            with branch("inner") as inner:
                inner.add(block)
                outer.interrupt()
                block()
            self.fail("the outer one was interrupted")
        self.assertTrue(outer.interrupted)
        self.assertFalse(inner.interrupted)

    def test_inner_before_outer(self):
        """(rule 7) each absorbs its own"""
        order = []
        with branch("outer") as outer:
            with branch("inner") as inner:
                outer.interrupt()
                inner.interrupt()
                try:
                    bough.check_interrupt()
                except ThreadExit as exit:
                    order.append(exit.record.target == inner._handle)
                    raise
            order.append("between")
            try:
                bough.check_interrupt()
            except ThreadExit as exit:
                order.append(exit.record.target == outer._handle)
                raise
        self.assertEqual(order, [True, "between", True])

    def test_end_goes_on_waiting(self):
        """(rule 24) an owner that is interrupted while it waits"""
        done, began = [], threading.Event()

        def slow():
            began.set()
            with bough.critical_section():
                time.sleep(0.2)
            done.append(1)

        def owner():
            with branch() as b:
                b.add(slow)

        thread = bough.Thread(target=owner)
        thread.enable_io_interrupt = True
        thread.start()
        began.wait()
        thread.interrupt()
        thread.join()
        self.assertEqual(done, [1])

    def test_clear(self):
        """an owner clears its branch and goes on"""
        with branch() as b:
            b.interrupt()
            with self.assertRaises(ThreadExit):
                block()
            self.assertTrue(b.clear_interrupt())
            self.assertEqual(b.add(lambda: 3).join(), True)
        self.assertFalse(b.interrupted)


class Tree(unittest.TestCase):
    def test_nesting(self):
        """a failure far down interrupts all there is, by way of each branch"""
        begun = itertools.count(1)

        def node(depth):
            with branch(f"depth {depth}") as b:
                if depth:
                    b.add(node, depth - 1)
                    b.add(node, depth - 1)
                if next(begun) == 15:
                    raise A("the last one")
                block()

        with self.assertRaisesRegex(A, "the last one"):
            node(3)

    def test_child_adds_to_the_branch_above(self):
        with branch() as b:

            def child(n):
                return b.add(child, n - 1) if n else None

            def grandchild():
                with branch():
                    return b.add(lambda: "added from below")

            first = b.add(child, 3)
            second = b.add(grandchild)
        last = first
        while last.result:
            last = last.result
        self.assertEqual((last.outcome, second.result.result), ("ok", "added from below"))

    def test_foreign_thread_adds(self):
        """is refused, and what was to be closed is closed"""
        errors, thing = [], Thing()

        def foreign(b):
            try:
                b.add(int, closing=thing)
            except RuntimeError as error:
                errors.append(error)

        with branch() as b:
            thread = threading.Thread(target=foreign, args=(b,))
            thread.start()
            thread.join()
        self.assertEqual((len(errors), thing.closed), (1, 1))

    def test_add_after_the_end(self):
        thing = Thing()
        with branch() as b:
            pass
        with self.assertRaisesRegex(RuntimeError, "not open"):
            b.add(int, closing=thing)
        self.assertEqual(thing.closed, 1)
        with self.assertRaisesRegex(RuntimeError, "once"):
            b.__enter__()
        with self.assertRaisesRegex(RuntimeError, "not open"):
            branch().add(int)

    def test_add_what_cannot_be_called(self):
        thing = Thing()
        with branch() as b:
            with self.assertRaises(TypeError):
                b.add(None, closing=thing)
        self.assertEqual(thing.closed, 1)

    def test_bough_threads_in_children(self):
        """a thread started by a child is no part of the tree, and works"""

        def child():
            thread = bough.Thread(target=block)
            thread.enable_io_interrupt = True
            thread.start()
            thread.interrupt()
            thread.join()
            return thread.is_alive()

        with branch() as b:
            child = b.add(child)
        self.assertIs(child.result, False)

    def test_branch_in_a_bough_thread(self):
        """its interrupt reaches the children"""
        children = []

        def run():
            with branch() as b:
                children.append(b.add(block))

        thread = bough.Thread(target=run)
        thread.start()
        until(lambda: children)
        thread.interrupt("stop")
        thread.join(ENOUGH)
        self.assertFalse(thread.is_alive())
        self.assertEqual(children[0].outcome, "interrupted")

    def test_thousand(self):
        """children: interrupted and joined"""
        with branch() as b:
            children = [b.add(block) for _ in range(1000)]
            b.interrupt()
        self.assertEqual({child.outcome for child in children} - {"not started"}, {"interrupted"})


class Errors(unittest.TestCase):
    """Rules 26 and 30."""

    def test_as_it_is(self):
        """one failure: the same instance, its context and cause, its traceback down to where it was raised"""
        cause = KeyError("cause")

        def inner():
            raise A("deep") from cause

        try:
            with branch() as b:
                b.add(inner)
                block()
        except A as error:
            self.assertIs(error.__cause__, cause)
            self.assertIsNone(error.__context__)
            text = "".join(traceback.format_exception(error))
        self.assertIn("in inner", text)
        self.assertIn("in test_as_it_is", text)
        self.assertNotIn("ThreadExit", text)

    def test_context_is_kept(self):
        def inner():
            try:
                raise KeyError("first")
            except KeyError:
                raise A("second")

        with self.assertRaises(A) as caught, branch() as b:
            b.add(inner)
            block()
        self.assertIsInstance(caught.exception.__context__, KeyError)

    def two(self, first, second, **options):
        """The second fails because the first did."""

        def follow():
            try:
                block()
            except ThreadExit:
                raise second from None

        with branch(**options) as b:
            b.add(follow)
            b.add(fail, first)
            block()

    def test_several(self):
        """become a MultipleError, the first one first, which is an ExceptionGroup if all are Exceptions"""
        with self.assertRaises(MultipleError) as caught:
            self.two(A(1), B(2))
        error = caught.exception
        self.assertIsInstance(error, ExceptionGroup)
        self.assertEqual([type(e) for e in error.exceptions], [A, B])
        self.assertIsInstance(error.primary, A)
        self.assertIsNone(error.__context__)

    def test_several_that_are_no_exceptions(self):
        """a MultipleError is a BaseExceptionGroup"""
        with self.assertRaises(MultipleError) as caught:
            self.two(A(1), KeyboardInterrupt())
        self.assertNotIsInstance(caught.exception, Exception)
        self.assertIsInstance(caught.exception, BaseExceptionGroup)

    def test_except_star(self):
        seen = []
        try:
            self.two(A(1), B(2))
        except* A as group:
            seen.append(("A", type(group), group.exceptions[0].args))
        except* B as group:
            seen.append(("B", type(group), group.exceptions[0].args))
        self.assertEqual([(name, args) for name, _, args in seen], [("A", (1,)), ("B", (2,))])
        self.assertTrue(all(issubclass(kind, MultipleError) for _, kind, _ in seen))

    def test_split_and_subgroup(self):
        group = MultipleError("m", [A(1), KeyboardInterrupt(), MultipleError("n", [B(2), A(3)])])
        self.assertNotIsInstance(group, Exception)
        match, rest = group.split(A)
        self.assertIsInstance(match, MultipleError)
        self.assertIsInstance(match, ExceptionGroup)
        self.assertNotIsInstance(rest, Exception)
        self.assertIsInstance(group.subgroup(B).exceptions[0], MultipleError)
        self.assertEqual(match.message, "m")
        self.assertIsInstance(group.derive([A()]), ExceptionGroup)

    def test_pickle_and_copy(self):
        for group in MultipleError("m", [A(1), B(2)]), MultipleError("m", [KeyboardInterrupt(), B(2)]):
            for again in pickle.loads(pickle.dumps(group)), copy.copy(group):
                self.assertIs(type(again), type(group))
                self.assertEqual([repr(e) for e in again.exceptions], [repr(e) for e in group.exceptions])

    def test_strict(self):
        """always groups: a child's failure, the body's, a deadline's; and nothing if all is well"""
        with self.assertRaises(MultipleError) as caught, branch(strict=True) as b:
            b.add(fail, A(1))
        self.assertEqual(caught.exception.exceptions[0].args, (1,))
        with self.assertRaises(MultipleError), branch(strict=True):
            raise A
        with self.assertRaises(MultipleError) as caught, branch(strict=True, timeout=0.01):
            block()
        self.assertIsInstance(caught.exception.primary, TimeoutError)
        with branch(strict=True) as b:
            b.add(int)
        with branch(strict=True) as b:
            b.interrupt()
            block()

    def test_body_and_child(self):
        """the body's failure in its cleanup is attached"""
        with self.assertRaises(MultipleError) as caught, branch() as b:
            b.add(fail, A())
            try:
                block()
            finally:
                raise B
        self.assertEqual([type(e) for e in caught.exception.exceptions], [A, B])

    def test_nested_groups(self):
        """what a nested branch has collected is attached as one; its own interrupts are not"""
        with self.assertRaises(MultipleError) as caught, branch() as outer:
            outer.add(self.two, A(1), B(2))
            try:
                block()
            except ThreadExit:
                raise KeyError("outer")
        inner, other = caught.exception.exceptions
        self.assertIsInstance(inner, MultipleError)
        self.assertIsInstance(other, KeyError)

    def test_groups_of_interrupts(self):
        """are no failures: a group without what was the branch's own is raised"""
        with branch() as b:
            b.interrupt()
            try:
                block()
            except ThreadExit as exit:
                raise BaseExceptionGroup("of a library", [exit])
        with self.assertRaises(ExceptionGroup) as caught, branch() as b:
            b.interrupt()
            try:
                block()
            except ThreadExit as exit:
                raise BaseExceptionGroup("of a library", [exit, A()])
        self.assertEqual([type(e) for e in caught.exception.exceptions], [A])

        def child():
            try:
                block()
            except ThreadExit as exit:
                raise BaseExceptionGroup("of a library", [exit])

        with branch() as b:
            child = b.add(child)
            child.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_supervisor(self):
        """isolates failures, and keeps the first 64; the body's counts"""
        with branch(supervisor=True) as b:
            child = b.add(fail, A())
            child.join()
            bough.check_interrupt()
            for n in range(70):
                b.add(fail, B(n)).join()
            last = b.add(lambda: "well")
        self.assertEqual((child.outcome, last.result, len(b.failures)), ("error", "well", 64))
        self.assertIsInstance(b.failures[0], A)
        with self.assertRaises(A), branch(supervisor=True) as b:
            other = b.add(block)
            raise A
        self.assertEqual(other.outcome, "interrupted")

    def test_results_survive(self):
        """(rule 28)"""
        with self.assertRaises(A), branch() as b:
            done = b.add(lambda: 42)
            done.join()
            raise A
        self.assertEqual((done.outcome, done.result, done.exception), ("ok", 42, None))

    def test_exception_of_a_child(self):
        """stays with it in a group; what is raised as it is, is with who caught it"""
        with self.assertRaises(MultipleError) as caught, branch(strict=True) as b:
            child = b.add(fail, A())
        self.assertIs(child.exception, caught.exception.exceptions[0])
        with self.assertRaises(A), branch() as b:
            child = b.add(fail, A())
        self.assertEqual((child.outcome, child.exception), ("error", None))

    def test_sys_exit_in_a_child(self):
        """is a failure: it comes out of the block, and ends the program if nobody catches it"""
        with self.assertRaises(SystemExit) as caught, branch() as b:
            b.add(sys.exit, 3)
            block()
        self.assertEqual(caught.exception.code, 3)
        self.assertNotIsInstance(caught.exception, ThreadExit)

    def test_raise_exc(self):
        """in a child: the very instance, and a failure; terminate() is a stop"""
        error = A()
        with self.assertRaises(A) as caught, branch() as b:
            b.add(block).raise_exc(error)
        self.assertIs(caught.exception, error)
        with branch() as b:
            child = b.add(block)
            child.terminate()
            other = b.add(block)
            until(lambda: other.ident)
            bough.terminate(other.ident)
        self.assertEqual((child.outcome, other.outcome), ("interrupted", "interrupted"))

    def test_raise_exc_does_not_reach_the_next_child_of_a_worker(self):
        for _ in range(300):
            with branch(supervisor=True) as b:
                first = b.add(int)
                with contextlib.suppress(ValueError):
                    first.raise_exc(A)
                second = b.add(time.sleep, 0)
            self.assertNotEqual(second.outcome, "error")


class Deadlines(unittest.TestCase):
    """Rules 27 and 33."""

    def test_timeout(self):
        """cuts body and children, and is a TimeoutError"""
        children = []
        for timeout in 0.05, 0.5, 5:  # one that has passed before there is a child cuts none
            with self.assertRaises(TimeoutError) as caught, branch("slow", timeout=timeout) as b:
                children.append(b.add(block))
                block()
            if children:
                break
        self.assertEqual(children[0].outcome, "interrupted")
        self.assertIn("slow", str(caught.exception))
        self.assertIsNone(caught.exception.__context__)
        self.assertFalse(b.interrupted)

    def test_only_if_it_cut_something(self):
        with branch(timeout=0.01):
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                pass

    def test_children_alone(self):
        """a deadline that passes while the end waits"""
        with self.assertRaises(TimeoutError), branch(timeout=0.05) as b:
            b.add(block)

    def test_deadline(self):
        """is a time of time.monotonic(); the earlier of both counts"""
        begin = time.monotonic()
        with self.assertRaises(TimeoutError), branch(timeout=1000, deadline=begin + 0.05):
            block()
        with self.assertRaises(TimeoutError), branch(timeout=0.01, deadline=begin + 1000):
            block()
        self.assertLess(time.monotonic() - begin, ENOUGH)

    def test_passed_already(self):
        """nothing is started, the first call is cut"""
        for options in {"timeout": 0}, {"deadline": time.monotonic() - 5}, {"deadline": 0}:
            thing = Thing()
            with self.assertRaises(TimeoutError), branch(**options) as b:
                b.add(int, closing=thing)
            self.assertEqual(thing.closed, 1)

    def test_for_ever(self):
        for options in {"timeout": float("inf")}, {"deadline": float("inf")}, {"timeout": 1e300}:
            with branch(**options) as b:
                self.assertTrue(b.add(int).join())

    def test_nested(self):
        """the outer one is earlier: the inner block ends by it, the TimeoutError is the outer's"""
        order = []
        with self.assertRaises(TimeoutError) as caught, branch("outer", timeout=0.05):
            try:
                with branch("inner", timeout=100):
                    block()
            except ThreadExit as exit:
                order.append(exit.record.kind)
                raise
        self.assertEqual(order, ["timeout"])
        self.assertIn("outer", str(caught.exception))
        with branch("outer", timeout=100):
            with self.assertRaises(TimeoutError) as caught, branch("inner", timeout=0.05):
                block()
            time.sleep(0)
        self.assertIn("inner", str(caught.exception))

    def test_set_deadline(self):
        with self.assertRaises(TimeoutError), branch() as b:
            b.set_deadline(time.monotonic() + 0.03)
            block()
        for timeout in 0.2, 2, ENOUGH:
            begin = time.monotonic()
            try:
                with branch(timeout=timeout) as b:
                    b.set_deadline(None)
                    moved = time.monotonic()
                    time.sleep(timeout + 0.05)
                break
            except TimeoutError:
                self.assertGreaterEqual(moved - begin, timeout)  # it had passed by then
        with self.assertRaises(RuntimeError):
            b.set_deadline(None)

    def test_a_failure_comes_first(self):
        with self.assertRaises(A), branch(timeout=0.02):
            try:
                block()
            finally:
                raise A

    def test_odd_values(self):
        for options in {"timeout": -1}, {"limit": 0}, {"limit": -1}, {"limit": 1.5}, {"timeout": float("nan")}:
            with self.assertRaises(ValueError):
                branch(**options)
        with self.assertRaises(ValueError), branch(deadline=float("nan")):
            pass


class Limits(unittest.TestCase):
    def test_at_most(self):
        lock, now, most = threading.Lock(), [0], [0]

        def child():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.002)
            with lock:
                now[0] -= 1

        with branch(limit=3) as b:
            for _ in range(40):
                b.add(child)
        self.assertEqual((now[0], most[0]), (0, 3))

    def test_wait_is_interrupted(self):
        """add() waits for a place: a failure ends that, and closes what it was to hand over"""
        thing, tid = Thing(), threading.get_native_id()
        with self.assertRaises(A), branch(limit=1) as b:
            b.add(fail_once_blocked, tid, A())
            b.add(block, closing=thing)
        self.assertEqual(thing.closed, 1)

    def test_wait_ends_by_the_deadline(self):
        with self.assertRaises(TimeoutError), branch(limit=1, timeout=0.05) as b:
            b.add(block)
            b.add(block)

    def test_places_come_back(self):
        """also of children that fail, are interrupted, or never start"""
        with branch(limit=1, supervisor=True) as b:
            b.add(fail, A())
            child = b.add(block)
            child.interrupt()
            child.join()
            b.interrupt()
            with contextlib.suppress(ThreadExit):
                b.add(block)
            b.clear_interrupt()
            self.assertEqual(b._places._value, 1)


class Closing(unittest.TestCase):
    """Rules 21 and 29."""

    def test_at_the_end(self):
        """on the child's thread, once"""
        thing = Thing()
        with branch() as b:
            child = b.add(int, closing=thing)
        self.assertEqual((thing.closed, thing.by), (1, child.ident))

    def test_several(self):
        things = Thing(), Thing()
        with branch() as b:
            b.add(int, closing=things)
        self.assertEqual([thing.closed for thing in things], [1, 1])

    def test_failed_and_interrupted(self):
        one, two = Thing(), Thing()
        with self.assertRaises(A), branch() as b:
            b.add(block, closing=one)
            b.add(fail, A(), closing=two)
        self.assertEqual((one.closed, two.closed), (1, 1))

    def test_marked_branch(self):
        """starts nothing, closes, and raises ThreadExit"""
        thing, ran = Thing(), []
        with branch() as b:
            b.interrupt("marked")
            try:
                b.add(ran.append, 1, closing=thing)
            except ThreadExit as exit:
                self.assertEqual((exit.record.reason, thing.closed, thing.by), ("marked", 1, threading.get_ident()))
                raise
        self.assertEqual((ran, b.interrupted), ([], True))

    def test_marked_branch_in_a_critical_section(self):
        """no interruption point, but an add that can't be done says so"""
        thing = Thing()
        with branch() as b:
            b.interrupt()
            with bough.critical_section():
                with self.assertRaises(ThreadExit):
                    b.add(int, closing=thing)
                time.sleep(0)
        self.assertEqual(thing.closed, 1)

    def test_take(self):
        """the child takes it over, and it is not closed"""
        thing = Thing()

        def child():
            return bough.current_child().take(), bough.current_child().take()

        with branch() as b:
            child = b.add(child, closing=thing)
        self.assertEqual((child.result, thing.closed), (((thing,), ()), 0))

    def test_error_in_close(self):
        """is one more failure, and no replacement; the others are closed all the same"""
        bad, good = Thing(B()), Thing()
        with self.assertRaises(MultipleError) as caught, branch() as b:
            b.add(fail, A(), closing=(bad, good))
        self.assertEqual([type(e) for e in caught.exception.exceptions], [A, B])
        self.assertEqual((bad.closed, good.closed), (1, 1))
        with self.assertRaises(B), branch() as b:
            b.add(int, closing=Thing(B()))

    def test_error_in_close_of_what_never_started(self):
        with self.assertRaises(B), branch() as b:
            b.interrupt()
            b.add(int, closing=Thing(B()))

    def test_current_child(self):
        self.assertIsNone(bough.current_child())
        with branch() as b:
            child = b.add(bough.current_child)
        self.assertIs(child.result, child)


class Surroundings(unittest.TestCase):
    """What a child finds, and what it leaves behind."""

    def test_contextvars(self):
        """are those of the add; what a child sets is its own"""
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
        self.assertEqual((one.result, two.result, var.get()), ("body", "body", "body"))

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
            self.assertIs(child_.result, False)

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
        self.assertEqual(named.result[:4], ("a-name", "a-name", True, True))
        self.assertRegex(other.result[0], r"^child-\d+$")
        self.assertEqual(logs.records[0].threadName, "a-name")
        self.assertNotIn(named.result[4], threading.enumerate())
        self.assertFalse(named.result[4].is_alive())
        named.result[4].join(ENOUGH)
        self.assertIs(named.result[4], named.result[4])
        self.assertEqual(threading.enumerate(), [threading.main_thread()])

    def test_names_from_outside(self):
        """`bough tree PID` shows branches and children by name"""
        command = next((path for path in ROOT.glob("build*/cli/bough") if os.access(path, os.X_OK)), None)
        if command is None:
            self.skipTest("the command bough is not built")
        with branch("Zweig ä") as b:
            child = b.add(block, name="a-child")
            until(lambda: child.ident)
            tree = subprocess.run([command, "tree", str(os.getpid())], capture_output=True, text=True)
            b.interrupt()
        self.assertIn("a-child", tree.stdout, tree.stderr)
        self.assertIn("Zweig ä", tree.stdout)
        self.assertIn("test_branch.py", tree.stdout)

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


def fails():
    raise A


class FailsToClose:
    def close(self):
        raise A


class Cycles(unittest.TestCase):
    """Nothing is left for the garbage collector. (An exception that lies in a variable of the function that raises it is
    a cycle of its own, so it does not here.)"""

    def check(self, work):
        work()
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            work()
            gc.collect()
            self.assertEqual([(type(x), repr(x)[:100]) for x in gc.garbage], [])
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    def test_success(self):
        def work():
            with branch() as b:
                child = b.add(lambda b: b.add(int), b)
            assert child.result.outcome == "ok"

        self.check(work)

    def test_failure_of_a_child(self):
        def work():
            try:
                with branch() as b:
                    child = b.add(fails)
                    block()
            except A:
                assert child.outcome == "error"

        self.check(work)

    def test_failure_of_the_body(self):
        def work():
            try:
                with branch() as b:
                    child = b.add(block)
                    raise A
            except A:
                assert child.outcome == "interrupted"

        self.check(work)

    def test_group(self):
        def work():
            try:
                with branch(strict=True) as b:
                    other = b.add(block)
                    child = b.add(fails)
                    block()
            except* A:
                assert child.outcome == "error" and other

        self.check(work)

    def test_interrupt(self):
        def work():
            with branch() as outer:
                with branch() as b:
                    child = b.add(block)
                    outer.interrupt()
                    block()
            assert child.outcome == "interrupted"

        self.check(work)

    def test_deadline(self):
        def work():
            try:
                with branch(timeout=0.01) as b:
                    child = b.add(block)
                    block()
            except TimeoutError:
                child = None
            assert child is None

        self.check(work)

    def test_refused(self):
        def work():
            with branch() as b:
                b.interrupt()
                b.add(int, closing=FailsToClose())

        def caught():
            try:
                work()
            except A:
                pass

        self.check(caught)

    def test_closing(self):
        def work():
            try:
                with branch() as b:
                    child = b.add(int, closing=FailsToClose())
            except A:
                assert child

        self.check(work)

    def test_arguments_die_with_the_child(self):
        """not with the branch, which may live for years"""
        import weakref

        class Big:
            pass

        with branch() as b:
            big = Big()
            ref = weakref.ref(big)
            child = b.add(lambda big: None, big)
            del big
            child.join()
            until(lambda: ref() is None)


class Generators(unittest.TestCase):
    """Rule 31."""

    def setUp(self):
        self.unraisable, self.before = [], sys.unraisablehook
        sys.unraisablehook = lambda args: self.unraisable.append(args.exc_value)

    def tearDown(self):
        sys.unraisablehook = self.before
        time.sleep(0)  # this thread is not left interrupted

    @staticmethod
    @contextlib.contextmanager
    def pool(*functions, **options):
        with branch(**options) as b:
            for function in functions:
                b.add(function)
            yield b

    def test_contextmanager(self):
        """entered and left on one thread: as if it stood there"""
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
        self.assertRegex(str(errors[0]), "another thread")
        self.assertEqual([child.outcome for child in children], ["interrupted"] * 2)
        time.sleep(0.001)
        with self.assertRaisesRegex(RuntimeError, "not open"):
            b.add(int)
        with branch() as after:
            self.assertTrue(after.add(int).join())

    def test_interleaved(self):
        """one that is left before those that were opened in it ends them as well"""
        one, two = self.pool(block), self.pool(block)
        with one as a:
            pass_on = two.__enter__()
            children = list(a._children | pass_on._children)
            with self.assertRaisesRegex(RuntimeError, "still open"):
                one.__exit__(None, None, None)
        self.assertEqual([child.outcome for child in children], ["interrupted"] * 2)
        with self.assertRaisesRegex(RuntimeError, "has ended already"):
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

    def test_collected_by_another_thread(self):
        box = [self.pool(block)]
        children = list(box[0].__enter__()._children)
        thread = threading.Thread(target=box.clear)
        thread.start()
        thread.join()
        self.assertEqual(children[0].outcome, "interrupted")
        self.assertRegex(str(self.unraisable[0]), "another thread")

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


def program(text, *, stop=None, at="clock_nanosleep"):
    """Runs it; `stop` is a signal, sent when it has said "go" and main is in this call."""
    with Process("-c", PROGRAM + text) as run:
        if stop:
            run.until("^go$")
            run.until_in(at, main=True)
            run.send(stop)
        run.end()
    return run.status, run.out, run.err


PROGRAM = """
import bough, os, sys, threading, time
from bough import branch, ThreadExit
begun = threading.Event()
def child():
    try:
        begun.set()
        time.sleep(100)
    except ThreadExit as e:
        with bough.critical_section():  # the body leaves by the signal, and its branch is one more to tell of it
            print("stopped:", e.record.kind, flush=True)
        raise
def add(b):
    c = b.add(child)
    begun.wait()
    print("go", flush=True)
    return c
"""


class Programs(unittest.TestCase):
    """The end of main, Ctrl-C, fork."""

    def test_ctrl_c_while_the_end_waits(self):
        """interrupts the children, and comes out of the block"""
        status, out, err = program(
            """
try:
    with branch() as b:
        c = add(b)
except KeyboardInterrupt as e:
    print("caught", c.outcome, e.__context__, flush=True)
""",
            stop=signal.SIGINT,
            at="futex",
        )
        self.assertEqual((status, out), (0, "go\nstopped: sibling\ncaught interrupted None\n"), err)

    def test_ctrl_c_in_the_body(self):
        status, out, err = program(
            """
with branch() as b:
    add(b)
    time.sleep(100)
""",
            stop=signal.SIGINT,
        )
        self.assertEqual(status, -signal.SIGINT, err)
        self.assertIn("stopped: sibling", out)
        self.assertIn("KeyboardInterrupt", err)

    def test_two_ctrl_c_are_one(self):
        """a child takes its time: the second Ctrl-C is no second failure"""
        status, out, err = program(
            """
import signal
def slow():
    with bough.critical_section():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.7)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.7)
try:
    with branch() as b:
        b.add(slow)
except KeyboardInterrupt:
    print("one")
"""
        )
        self.assertEqual((status, out), (0, "one\n"), err)

    def test_ctrl_c_anywhere(self):
        """in whatever bytecode it comes out, also of the block's beginning and end: all children are joined"""
        status, out, err = program(
            """
import random, signal
alive = begun = cut = 0
started = False
def child(gate):
    global alive, begun
    alive, begun = alive + 1, begun + 1
    try:
        gate.wait()
    finally:
        alive -= 1
def send():
    while not started: time.sleep(0.001)
    while cut < 300:
        time.sleep(random.random() / 1000)
        os.kill(os.getpid(), signal.SIGINT)
wrong = 0
threading.Thread(target=send).start()
while cut < 300:
    try:
        started = True
        try:
            gate = threading.Event()
            with branch() as b:
                b.add(child, gate)
                b.add(child, gate)
                gate.set()
        except* KeyboardInterrupt:
            cut += 1
        wrong += alive
    except KeyboardInterrupt:
        pass
while True:
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        break
    except KeyboardInterrupt:
        pass
print("wrong", wrong, threading.enumerate()[0] is threading.main_thread(), flush=True)
"""
        )
        self.assertEqual(out, "wrong 0 True\n", err)  # how the interpreter ends is its own affair: signals still come

    def test_exit_in_a_branch(self):
        """sys.exit() in the body ends the children first"""
        status, out, err = program("with branch() as b:\n    add(b)\n    sys.exit(7)")
        self.assertEqual((status, out), (7, "go\nstopped: sibling\n"), err)

    def test_exit_in_a_child(self):
        status, out, err = program("with branch() as b:\n    add(b)\n    b.add(sys.exit, 7)")
        self.assertEqual((status, out), (7, "go\nstopped: sibling\n"), err)

    def test_sigterm(self):
        """ends the tree, and the process by the signal"""
        status, out, err = program("with branch() as b:\n    add(b)\n    time.sleep(100)", stop=signal.SIGTERM)
        self.assertEqual(status, -signal.SIGTERM, err)
        self.assertRegex(out, "stopped: (signal|sibling)\n$")  # of the process, or of the branch that main leaves

    def test_daemon(self):
        """whose children still run when main ends: they are left behind, as the daemon is"""
        status, out, err = program(
            """
def run():
    with branch() as b:
        for n in range(3): b.add(child)
        time.sleep(100)
threading.Thread(target=run, daemon=True).start()
time.sleep(0.3)
print("end", flush=True)
"""
        )
        self.assertEqual((status, err), (0, ""), out)
        self.assertTrue(out.endswith("end\n"))

    def test_fork_in_a_child(self):
        """the new process has that one thread, and ends with its function: flushed, and with the status of an error"""
        status, out, err = program(
            """
def forks(how):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    where = f"in the new process {how} {threading.current_thread() is threading.main_thread()}"
    if how == "fails":
        raise ValueError("in the new process")
    if how == "exits":
        sys.exit(5)
    with branch() as b:
        print(where, b.add(lambda: "adds").join())
with branch() as b:
    add(b)
    children = [b.add(forks, how, name="forker") for how in ("returns", "fails", "exits")]
    for c in children: c.join()
    print([c.result for c in children], flush=True)
    b.interrupt()
"""
        )
        self.assertEqual(status, 0, err)
        self.assertIn("[0, 1, 5]", out)
        self.assertIn("in the new process returns True True", out)
        self.assertIn("ValueError: in the new process", err)
        self.assertIn("stopped: stop", out)

    def test_fork_in_the_body(self):
        """the branch is open there as well, without the children"""
        status, out, err = program(
            """
with branch(limit=1) as b:
    c = add(b)
    pid = os.fork()
    if pid == 0:
        b.add(lambda: print("added in the new process", flush=True))
    else:
        print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), c.is_alive(), flush=True)
        b.interrupt()
if pid == 0:
    os._exit(4)
"""
        )
        self.assertEqual(status, 0, err)
        self.assertIn("added in the new process\nstatus 4 True\nstopped: stop\n", out)

    def test_multiprocessing(self):
        """by fork and by spawn, from a child"""
        status, out, err = program(
            """
import multiprocessing
def run(method):
    process = multiprocessing.get_context(method).Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    return process.exitcode
if __name__ == "__main__":
    with branch() as b:
        children = [b.add(run, method) for method in ("fork", "spawn")]
    print([c.result for c in children])
"""
        )
        self.assertEqual((status, out), (0, "[0, 0]\n"), err)


class AcceptLoop(unittest.TestCase):
    """seeds/branch-2007, as it stands: examples/python/accept_loop.py"""

    def setUp(self):
        sys.path.insert(0, str(ROOT / "examples/python"))
        import accept_loop

        sys.path.pop(0)
        self.example = accept_loop
        self.server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.server.close)
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()

    def connect(self, count):
        for _ in range(count):
            client = socket.create_connection(self.server.getsockname())
            client.settimeout(ENOUGH)
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"HELLO")
            self.clients.append(client)
        return self.clients

    def run_loop(self, then):
        """In a child, so that it can be interrupted from outside."""
        with branch() as b:
            loop = b.add(self.example.accept_loop, self.server)
            then(loop)
            loop.join()
        return loop

    def all_closed(self):
        return [client.recv(100) for client in self.clients] == [b""] * len(self.clients)

    def test_interrupted_from_outside(self):
        """the loop and all its clients end, in order"""

        def then(loop):
            self.connect(5)
            loop.interrupt("stop the server")

        self.assertEqual(self.run_loop(then).outcome, "interrupted")
        self.assertTrue(self.all_closed())
        self.assertEqual(self.server.fileno(), -1)

    def test_first_failure_of_a_handler(self):
        """wakes the blocked accept, ends the other clients, and comes out of the loop"""

        def then(loop):
            self.connect(5)[0].sendall(b"fail\n")

        with self.assertRaisesRegex(ValueError, "asked for a failure"):
            self.run_loop(then)
        self.assertTrue(self.all_closed())

    def test_as_a_program(self):
        """Ctrl-C"""
        with Process(ROOT / "examples/python/accept_loop.py") as run:
            port = int(run.until(r"listening on port (\d+)\n").group(1))
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(100), b"HELLO")
                run.until_in("accept4", main=True)
                run.send(signal.SIGINT)
                self.assertEqual(client.recv(100), b"")
            self.assertEqual(run.end(), 0, run)
        self.assertEqual(run.out.splitlines()[1:], ["all clients are gone"])


if __name__ == "__main__":
    unittest.main()
