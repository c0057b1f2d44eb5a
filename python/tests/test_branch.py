# SPDX-License-Identifier: MIT
"""Branches: how they end, nest, and are limited (rules 7, 23 to 25, 27, 28, 33), in Python."""
import contextlib
import inspect
import itertools
import socket
import sys
import threading
import time
import unittest
from pathlib import Path

import bough
from bough import ThreadExit, branch
from branching import ENOUGH, A, Place, Thing, block, block_and, fail, fail_once_blocked
from tools import until

limit = 60
stays = ("anon_inode:*event*",)  # the async thread's descriptor, from its first use on


class Ends(unittest.TestCase):
    """Rules 23 to 25."""

    def test_leaving_well_waits(self):
        """an ordinary end waits for the children, and interrupts no thread"""
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

    def test_body_that_does_not_block_meets_the_interrupt_at_a_point(self):
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
        self.assertEqual((one.outcome, other.outcome, other.result()), ("interrupted", "ok", "well"))
        self.assertFalse(b.interrupted)

    def test_own_stop_ends_well(self):
        """(rule 27): the branch reports the stop, and raises nothing"""
        with branch() as b:
            child = b.add(block)
            b.add(lambda: b.interrupt("enough"))
            block()
        self.assertTrue(b.interrupted)
        self.assertEqual(child.outcome, "interrupted")
        time.sleep(0.001)  # is not interrupted

    def test_own_stop_of_a_branch_whose_body_is_done(self):
        with branch() as b:
            b.add(block)
            threading.Timer(0.05, b.interrupt).start()
        self.assertTrue(b.interrupted)

    def test_interrupt_after_the_end_has_no_effect(self):
        with branch() as b:
            child = b.add(int)
        b.interrupt()
        child.interrupt()
        with self.assertRaises(ValueError):
            child.raise_exc(A)
        bough.check_interrupt()

    def test_outer_interrupt_goes_on(self):
        """an interrupt from further out ends the inner branch, propagates, and stays pending"""
        reported = []

        def middle():
            try:
                with branch("inner") as inner:
                    inner.add(block)
                    block()
            except ThreadExit as exit:
                reported.append((inner.interrupted, exit.record.reason))
                try:
                    bough.check_interrupt()
                except ThreadExit:
                    reported.append("still")
                raise

        with branch("outer") as outer:
            child = outer.add(middle)
            outer.add(lambda: outer.interrupt("from outside"))
        self.assertEqual(reported, [(False, "from outside"), "still"])
        self.assertEqual(child.outcome, "interrupted")

    def test_outer_interrupt_of_an_inner_body(self):
        """the inner branch is left, the outer one absorbs its interrupt"""
        with branch("outer") as outer:
            with branch("inner") as inner:
                inner.add(block)
                outer.interrupt()
                block()
            self.fail("the outer one was interrupted")
        self.assertTrue(outer.interrupted)
        self.assertFalse(inner.interrupted)

    def test_inner_before_outer(self):
        """(rule 7) each branch absorbs its interrupt"""
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


class Block(unittest.TestCase):
    def test_method_descriptors(self):
        """`with` finds __enter__ and __exit__ as those of a class written in C: a debug build of Python 3.14 aborts on others"""
        for name, parameters in ("__enter__", ["self"]), ("__exit__", ["self", "type", "error", "traceback"]):
            method = inspect.getattr_static(bough.Branch, name)
            self.assertIs(type(method), type(vars(str)["strip"]))
            self.assertEqual(list(inspect.signature(method).parameters), parameters)
        with self.assertRaises(TypeError):
            bough.Branch.__exit__(branch())
        with self.assertRaises(TypeError):
            bough.Branch.__enter__(object())

    def test_nothing_of_its_file_runs(self):
        """a block in which nothing fails runs no Python code of the package, which would take most of the time"""
        seen = set()

        def profile(frame, event, argument):
            seen.add(Path(frame.f_code.co_filename).name)

        for options in {}, {"timeout": 60}, {"strict": True, "supervisor": True}:
            with branch(**options):
                pass  # opts in
            sys.setprofile(profile)
            try:
                with branch(**options):
                    pass
            finally:
                sys.setprofile(None)
        self.assertNotIn("_branch.py", seen)

    def test_exit_that_raises_nothing(self):
        """an exception that the block's end absorbs"""
        with branch() as b:
            b.interrupt()
            bough.check_interrupt()
        self.assertTrue(b.interrupted)


class Tree(unittest.TestCase):
    def test_nesting(self):
        """a failure far down interrupts the whole tree, branch by branch"""
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
        while last.result():
            last = last.result()
        self.assertEqual((last.outcome, second.result().result()), ("ok", "added from below"))

    def test_foreign_thread_adds(self):
        """is refused, and the object to be closed is closed"""
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
        """a thread that a child starts is not part of the tree, and works"""

        def child():
            thread = bough.Thread(target=block)
            thread.enable_io_interrupt = True
            thread.start()
            thread.interrupt()
            thread.join()
            return thread.is_alive()

        with branch() as b:
            child = b.add(child)
        self.assertIs(child.result(), False)

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


class Deadlines(unittest.TestCase):
    """Rules 27 and 33."""

    def test_timeout(self):
        """interrupts body and children, and raises a TimeoutError"""
        children = []
        for timeout in 0.05, 0.5, 5:  # a busy machine needs more time to start the child
            with self.assertRaises(TimeoutError) as caught, branch("slow", timeout=timeout) as b:
                children.append(b.add(block))
                block()
            if children:
                break
        self.assertEqual(children[0].outcome, "interrupted")
        self.assertIn("slow", str(caught.exception))
        self.assertIsNone(caught.exception.__context__)
        self.assertFalse(b.interrupted)

    def test_only_if_it_interrupted_something(self):
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
        """nothing is started, the first call is interrupted"""
        for options in {"timeout": 0}, {"deadline": time.monotonic() - 5}, {"deadline": 0}:
            thing = Thing()
            with self.assertRaises(TimeoutError), branch(**options) as b:
                b.add(int, closing=thing)
            self.assertEqual(thing.closed, 1)

    def test_infinity_means_no_limit(self):
        for options in {"timeout": float("inf")}, {"deadline": float("inf")}, {"timeout": 1e300}:
            with branch(**options) as b:
                self.assertTrue(b.add(int).join())

    def test_nested(self):
        """the outer deadline is earlier: it ends the inner block, and the outer block raises the TimeoutError"""
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
                self.assertGreaterEqual(moved - begin, timeout)  # the deadline had passed by then
        with self.assertRaises(RuntimeError):
            b.set_deadline(None)

    def test_a_failure_comes_first(self):
        with self.assertRaises(A), branch(timeout=0.02):
            try:
                block()
            finally:
                raise A

    def test_invalid_values(self):
        for options in {"timeout": -1}, {"limit": 0}, {"limit": -1}, {"timeout": float("nan")}:
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
        """add() waits for a place: a failure ends the wait, and the object to be closed is closed"""
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
            self.assertEqual(b._slots._value, 1)


if __name__ == "__main__":
    unittest.main()
