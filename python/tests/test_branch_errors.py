# SPDX-License-Identifier: MIT
"""Failures in a branch, and their evidence: rules 21, 26, 29 and 30, in Python."""
import contextlib
import copy
import gc
import pickle
import sys
import threading
import time
import traceback
import unittest

import bough
from bough import MultipleError, ThreadExit, branch
from branching import A, B, Thing, block, fail
from tools import until

limit = 60
stays = ("anon_inode:*event*",)  # the async thread's descriptor, from its first use on


class Errors(unittest.TestCase):
    """Rules 26 and 30."""

    def test_as_it_is(self):
        """one failure is raised as the same instance, with its context, its cause and its whole traceback"""
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
        """Two children of which the second fails after the first."""

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
        """always groups: a child's failure, the body's, a deadline's; nothing is raised without a failure"""
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
        """the failures of a nested branch are attached as one group; its interrupts are not"""
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
        """are no failures: the group is raised without the branch's interrupts"""
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
        self.assertEqual((child.outcome, last.result(), len(b.failures)), ("error", "well", 64))
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
        self.assertEqual((done.outcome, done.result(), done.exception), ("ok", 42, None))

    def test_exception_of_a_child(self):
        """stays readable if it is in a group; an exception that the block raises itself is left to its catcher"""
        with self.assertRaises(MultipleError) as caught, branch(strict=True) as b:
            child = b.add(fail, A())
        self.assertIs(child.exception, caught.exception.exceptions[0])
        with self.assertRaises(A), branch() as b:
            child = b.add(fail, A())
        self.assertEqual((child.outcome, child.exception), ("error", None))

    def test_sys_exit_in_a_child(self):
        """is a failure: the block raises it, and it ends the program if it is not caught"""
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
        """the section has no interruption point, but an add that can't be done raises an error"""
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
        self.assertEqual((child.result(), thing.closed), (((thing,), ()), 0))

    def test_error_in_close(self):
        """is an additional failure, and replaces none; the other objects are closed nevertheless"""
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
        self.assertIs(child.result(), child)


def fails():
    raise A


class FailsToClose:
    def close(self):
        raise A


class Cycles(unittest.TestCase):
    """Nothing is left for the garbage collector. (An exception in a variable of the function that raises it would
    be a cycle, so the tests have none.)"""

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
            assert child.result().outcome == "ok"

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


if __name__ == "__main__":
    unittest.main()
