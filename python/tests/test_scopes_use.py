# SPDX-License-Identifier: MIT
"""Scopes: as decorators, with asynchronous=True, and their error messages (rules 27, 43)."""
import asyncio
import contextlib
import functools
import gc
import inspect
import math
import os
import pickle
import threading
import time
import unittest
import warnings
import weakref

import bough
from bough import CancelScope, fail_after, fail_at, move_on_after, move_on_at
from branching import ENOUGH, A, block
from tools import Gate, ended, pipe, started

limit = 120
stays = ("anon_inode:*event*", "bough*")  # the async thread, from its first use on
SOON = 0.02


class Asynchronous(unittest.TestCase):
    def compute(self):
        while True:
            pass

    def test_code_without_points(self):
        with self.assertRaises(TimeoutError), fail_after(SOON, asynchronous=True):
            self.compute()
        with move_on_after(SOON, asynchronous=True) as scope:
            self.compute()
        self.assertTrue(scope.cancelled_caught)

    def test_in_a_thread(self):
        def work():
            with move_on_after(SOON, asynchronous=True) as scope:
                self.compute()
            return scope.cancelled_caught

        for cls in threading.Thread, bough.Thread:
            thread = started(work, cls=cls)
            self.assertIsNone(ended(thread))
            self.assertTrue(thread.result)

    def test_decorated(self):
        with self.assertRaises(TimeoutError):
            fail_after(SOON, asynchronous=True)(self.compute)()

    def test_cancel(self):
        with CancelScope(asynchronous=True) as scope:
            threading.Timer(SOON, scope.cancel).start()
            self.compute()
        self.assertTrue(scope.cancelled_caught)

    def test_not_in_finally(self):
        done = []

        def work():
            with fail_after(60, asynchronous=True) as scope:
                try:
                    scope.deadline = time.monotonic() + SOON
                    self.compute()
                finally:
                    end = time.monotonic() + 0.3
                    while time.monotonic() < end:
                        pass
                    done.append(True)

        for _ in range(3):
            with self.assertRaises(TimeoutError):
                work()
        self.assertEqual(done, [True] * 3)

    def test_not_after_the_block(self):
        """code after the block is not interrupted anywhere; the setting is restored"""

        def work():
            with fail_after(60, asynchronous=True):
                pass
            gate.open()
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                pass
            return "to the end"

        gate = Gate()
        thread = started(work)
        gate.passed()
        thread.interrupt()
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, "to the end")

    def test_around_one_that_is_not(self):
        """the inner scope's deadline may interrupt anywhere, too"""
        with fail_after(60, asynchronous=True):
            with move_on_after(SOON) as inner:
                self.compute()
        self.assertTrue(inner.cancelled_caught)

    def test_inside_one_that_is_not(self):
        with fail_after(60):
            with move_on_after(SOON, asynchronous=True) as inner:
                self.compute()
        self.assertTrue(inner.cancelled_caught)


class Decorators(unittest.TestCase):
    def test_function(self):
        @fail_after(SOON)
        def work(seconds, *, result="done"):
            """The docstring."""
            if seconds:  # 0: a block without a point succeeds, however late it is
                time.sleep(seconds)
            return result

        self.assertEqual(work(0), "done")
        self.assertEqual(work(0, result=3), 3)
        for _ in range(2):
            with self.assertRaises(TimeoutError) as caught:
                work(ENOUGH)
        self.assertIn("fail_after(0.02) of ", str(caught.exception))
        self.assertIn("work", str(caught.exception))
        self.assertEqual((work.__name__, work.__doc__), ("work", "The docstring."))
        self.assertEqual(str(inspect.signature(work)), "(seconds, *, result='done')")
        self.assertEqual(work(0), "done")

    def test_moves_on(self):
        @move_on_after(SOON)
        def work(seconds):
            if seconds:
                time.sleep(seconds)
            return seconds

        self.assertEqual((work(0), work(ENOUGH), work(0)), (0, None, 0))

    def test_a_fresh_scope_for_each_call(self):
        """at the same time in several threads, and recursively"""

        @move_on_after(0.1)
        def work(depth):
            if depth:
                return work(depth - 1)
            block()

        with bough.branch() as b:
            children = [b.add(work, depth) for depth in (0, 1, 5) for _ in range(3)]
        self.assertEqual({child.outcome for child in children}, {"ok"})

    def test_methods(self):
        class Client:
            @fail_after(SOON)
            def ask(self, seconds):
                if seconds:
                    time.sleep(seconds)
                return self

            @staticmethod
            @fail_after(SOON)
            def static():
                block()

            @classmethod
            @fail_after(SOON)
            def of_class(cls):
                block()

        client = Client()
        self.assertIs(client.ask(0), client)
        for call in functools.partial(client.ask, ENOUGH), client.static, client.of_class, Client.static:
            with self.assertRaises(TimeoutError):
                call()

    def test_builtin(self):
        with pipe() as (r, w), self.assertRaises(TimeoutError):
            fail_after(SOON)(os.read)(r, 1)
        self.assertEqual(fail_after(SOON)(len)("four"), 4)

    def test_in_a_coroutine(self):
        """a decorated function may be called there, because no other coroutine runs meanwhile"""

        async def main():
            return fail_after(60)(abs)(-1)

        self.assertEqual(asyncio.run(main()), 1)

    def test_an_error(self):
        error = A()

        @move_on_after(60)
        def work():
            try:
                raise KeyError
            except KeyError:
                raise error

        with self.assertRaises(A) as caught:
            try:
                raise ValueError
            except ValueError:
                work()
        self.assertIs(caught.exception, error)
        self.assertIsInstance(error.__context__, KeyError)

    def test_generator_function_inside(self):
        """the function's result is not examined"""

        def make():
            yield 1

        self.assertEqual(list(fail_after(60)(lambda: make())()), [1])

    def test_pickle(self):
        self.assertIs(pickle.loads(pickle.dumps(of_module)), of_module)

    def test_no_cycle(self):
        """a scope and its exception are freed without the collector"""
        class Thing:
            pass

        def work():
            thing = Thing()
            seen.append(weakref.ref(thing))
            with fail_after(0):
                bough.check_interrupt()

        seen = []
        gc.disable()
        try:
            for call in work, fail_after(60)(work):
                with contextlib.suppress(TimeoutError):
                    call()
        finally:
            gc.enable()
        self.assertEqual([ref() for ref in seen], [None, None])


@fail_after(60)
def of_module():
    pass


async def coroutine():
    pass


async def asynchronous_generator():
    yield


def generator():
    yield


class Mistakes(unittest.TestCase):
    """Each message explains what to do."""

    def refused(self, error, call, *words):
        with self.assertRaises(error) as caught:
            call()
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_wrong_limits(self):
        for make in fail_after, move_on_after:
            name = make.__name__
            self.refused(TypeError, lambda: make("5"), f"{name}() seconds", "a number of seconds", "'5'")
            self.refused(TypeError, lambda: make(generator), "As a decorator it is @")
            self.refused(ValueError, lambda: make(-0.1), f"{name}() seconds", "-0.1", f"Use {name[:-5]}at(deadline)")
            self.refused(ValueError, lambda: make(math.nan), "nan")
            self.refused(ValueError, lambda: make(time.time()), "time.time()")
            self.refused(TypeError, make, "seconds")
            self.refused(TypeError, lambda: make(1, 2), "asynchronous=True")
            self.refused(TypeError, lambda: make(1, timeout=2), "'timeout'", "seconds=")
            self.refused(TypeError, lambda: make(1, shield=True), "critical_section()")
        for make in fail_at, move_on_at:
            self.refused(ValueError, lambda: make(time.time() + 5), "time.monotonic() + seconds")
            self.refused(ValueError, lambda: make(-1), "time.monotonic() + seconds")
            self.refused(TypeError, lambda: make("now"), f"{make.__name__}() deadline")
        self.assertEqual(fail_after(seconds=5)(abs)(-1), 1)

    def test_not_entered(self):
        """a call without `with` limits nothing, and causes a warning"""
        for make in fail_after, move_on_after:
            with self.assertWarnsRegex(RuntimeWarning, f"write 'with bough.{make.__name__}"):
                make(5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fail_after(5):
                pass
            fail_after(5)(abs)

    def test_twice(self):
        scope = fail_after(60)
        with scope:
            self.refused(RuntimeError, scope.__enter__, "only once", "a new one")
        self.refused(RuntimeError, scope.__enter__, "only once", "a new one")

    def test_coroutines_and_generators(self):
        for make in fail_after, move_on_after:
            for function in coroutine, asynchronous_generator, generator, functools.partial(coroutine):
                self.refused(TypeError, lambda: make(5)(function), "executes nothing", f"{make.__name__}(5)")

    def test_no_function(self):
        for thing in 5, None, "work", classmethod(len), property(len), A:
            self.refused(TypeError, lambda: fail_after(5)(thing), "fail_after(5)", "a function")

    def test_a_fixed_time_as_decorator(self):
        self.refused(TypeError, lambda: fail_at(time.monotonic() + 5)(len), "@fail_after(seconds)")
        self.refused(TypeError, lambda: move_on_at(time.monotonic() + 5)(len), "@move_on_after(seconds)")

    def test_in_a_coroutine(self):
        async def main():
            with scope:
                await asyncio.sleep(0)

        for scope in fail_after(5), move_on_after(5):
            self.refused(RuntimeError, lambda: asyncio.run(main()), "asyncio.timeout()")
            with scope:
                pass

    def test_async_with(self):
        async def main():
            async with fail_after(5):
                pass

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.refused((TypeError, AttributeError), lambda: asyncio.run(main()), "")

    def test_deadline_by_another_thread(self):
        with fail_after(60) as scope:
            with bough.branch() as b:
                child = b.add(self.refused, RuntimeError, lambda: setattr(scope, "deadline", math.inf), "cancel()")
        self.assertEqual(child.outcome, "ok")

    def test_deadline_after_the_end(self):
        with fail_after(60) as scope:
            pass
        self.refused(RuntimeError, lambda: setattr(scope, "deadline", math.inf), "is not open")

    def test_wrong_deadlines(self):
        with fail_after(60) as scope:
            for wrong in time.time(), math.nan, -1:
                self.refused(ValueError, lambda: setattr(scope, "deadline", wrong), "time.monotonic()")
            self.refused(TypeError, lambda: setattr(scope, "deadline", "soon"), "time.monotonic()")

    def test_children(self):
        with fail_after(60) as scope:
            self.refused(AttributeError, lambda: scope.add(print), "branch(timeout=")

    def test_left_by_another_thread(self):
        scope = fail_after(60)
        scope.__enter__()
        with bough.branch() as b:
            child = b.add(self.refused, RuntimeError, lambda: scope.__exit__(None, None, None), "thread that did not enter it")
        self.assertEqual(child.outcome, "ok")

    def test_in_the_wrong_order(self):
        outer, inner = fail_after(60), fail_after(60)
        outer.__enter__()
        inner.__enter__()
        self.refused(RuntimeError, lambda: outer.__exit__(None, None, None), "still open")
        self.refused(RuntimeError, lambda: inner.__exit__(None, None, None), "already ended")


if __name__ == "__main__":
    unittest.main()
