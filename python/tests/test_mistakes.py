# SPDX-License-Identifier: MIT
"""Mistakes of new users with time limits, results, executors and asyncio. Each error's message names what was wrong,
what was given and what to do, and its traceback ends at the user's line."""
import asyncio
import concurrent.futures
import gc
import math
import os
import threading
import time
import traceback
import types
import unittest
import warnings

import bough
from bough import branch, fail_after, move_on_after
from tools import Gate

stays = ("anon_inode:*event*", "bough*")
PACKAGE = os.path.dirname(bough.__file__)


async def ask():
    pass


class Mistake(unittest.TestCase):
    maxDiff = None

    def says(self, mistake, error, message, shows=False):
        """The call's error has this message. `shows`: its traceback has a frame of bough, as a coroutine function's
        must."""
        try:
            mistake()
        except error as caught:
            self.assertEqual(str(caught), message)
            shown = any(frame.filename.startswith(PACKAGE) for frame in traceback.extract_tb(caught.__traceback__))
            self.assertEqual(shown, shows)
        else:
            self.fail("nothing was raised")

    def warns(self, mistake, message):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mistake()
            gc.collect()
        self.assertEqual([str(warning.message) for warning in caught], [message])


class Tracebacks(Mistake):
    PLAIN = {"to_thread", "Interrupted", "MultipleError", "ThreadExit"}  # one coroutine function, and exceptions

    def test_every_function(self):
        """shows no frames of bough in its errors' tracebacks: see without_frames()"""
        for name in {*bough.__all__, *bough.ladder.__all__} - self.PLAIN:
            thing = getattr(bough, name)
            self.assertNotIsInstance(thing, types.FunctionType, name)
            for key, value in vars(thing).items() if isinstance(thing, type) and not issubclass(thing, tuple) else ():
                if not key.startswith("_"):
                    value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                    self.assertNotIsInstance(value, types.FunctionType, f"{name}.{key}")


class Scopes(Mistake):
    def test_async_function(self):
        self.says(
            lambda: fail_after(2)(ask),
            TypeError,
            f"what fail_after(2) decorates must be a function that is not async, got {ask}. Its call executes nothing of it: use "
            "asyncio.timeout(), or trio's or anyio's fail_after(), inside",
        )

    def test_in_a_coroutine(self):
        async def main():
            with fail_after(2):
                await ask()

        self.says(
            lambda: asyncio.run(main()),
            RuntimeError,
            "<bough.fail_after(2): not entered> limits a thread, and this is a coroutine: its thread also runs other coroutines. Use "
            "asyncio.timeout(), or trio's or anyio's fail_after(); for a call that blocks, run in a thread a function that contains "
            "this block",
        )

    def test_without_with(self):
        self.warns(
            lambda: fail_after(2),
            "<bough.fail_after(2): not entered> was not entered, and has limited nothing: write 'with bough.fail_after(...):' around the "
            "block",
        )

    def test_entered_twice(self):
        def mistake():
            with scope, scope:
                pass

        scope = bough.CancelScope()
        self.says(mistake, RuntimeError, "<bough.move_on_at(inf): open> can be entered only once: make a new one for each block")

    def test_text_as_seconds(self):
        self.says(
            lambda: fail_after("2"), TypeError, "fail_after() seconds must be a number of seconds, 0 or more, or None, got '2'"
        )

    def test_no_argument(self):
        self.says(lambda: fail_after(), TypeError, "fail_after() missing 1 required argument: 'seconds'")

    def test_nan(self):
        with move_on_after(2) as scope:
            self.says(
                lambda: setattr(scope, "deadline", math.nan),
                ValueError,
                "CancelScope.deadline must be a time of time.monotonic(), or None, got nan",
            )

    def test_seconds_as_a_time(self):
        """of another clock"""
        now = time.time()
        self.says(
            lambda: bough.fail_at(now),
            ValueError,
            f"fail_at() deadline must be a time of time.monotonic(), or None, got {now}. That is a time of time.time(): use "
            "time.monotonic() + seconds",
        )

    def test_deadline_by_another_thread(self):
        with bough.CancelScope() as scope, branch() as b:
            child = b.add(
                self.says,
                lambda: setattr(scope, "deadline", time.monotonic()),
                RuntimeError,
                "<bough.move_on_at(inf): open> is another thread's: its deadline is set by the thread in the block. Any thread may call "
                "cancel()",
            )
        self.assertEqual(child.outcome, "ok")

    def test_left_in_another_thread(self):
        scope = move_on_after(1000)  # stays open in main: its deadline must not pass in a later test
        scope.__enter__()
        with branch() as b:
            child = b.add(
                self.says,
                lambda: scope.__exit__(None, None, None),
                RuntimeError,
                "<bough.move_on_after(1000): ended> was left by a thread that did not enter it. Enter and leave it in the same thread",
            )
        self.assertEqual(child.outcome, "ok")

    def test_cancel_after_the_end(self):
        """does nothing: the block may just have ended"""
        with move_on_after(2) as scope:
            pass
        scope.cancel()
        bough.check_interrupt()
        self.assertFalse(scope.cancel_called)

    def test_children(self):
        def mistake():
            with move_on_after(2) as scope:
                scope.add(print)

        self.says(
            mistake, AttributeError, "'CancelScope' object has no attribute 'add'. A scope has no children: use branch(timeout=...)"
        )


class Results(Mistake):
    def test_of_a_child_that_runs(self):
        gate = Gate()
        with branch() as b:
            child = b.add(gate.passed, name="ask")
            self.says(
                child.result,
                bough.NoResultError,
                "child 'ask' has no result: it still runs: call join() first, or call result() after the block",
            )
            gate.open()

    def test_of_a_child_that_was_interrupted(self):
        with branch() as b:
            child = b.add(threading.Event().wait, name="ask")
            child.interrupt()
        self.says(
            child.result,
            bough.NoResultError,
            "child 'ask' has no result: it was interrupted: look at its outcome first, where children may be interrupted",
        )

    def test_a_branch_after_its_end(self):
        with branch("all") as b:
            pass
        for mistake in lambda: b.add(print), lambda: b.map(print, [1]):
            self.says(mistake, RuntimeError, "<bough.Branch 'all': ended> is not open: call add() inside its with block")
        for mistake in lambda: b.set_deadline(None), b.clear_interrupt:
            self.says(mistake, RuntimeError, "<bough.Branch 'all': ended> is not open: use it inside its with block")

    def test_a_call_for_a_function(self):
        with branch() as b:
            self.says(
                lambda: b.add(divmod(7, 2)), TypeError, "add() fn must be a function, got (3, 1). Give the function itself, without calling it"
            )
            self.says(
                lambda: bough.race(print()),
                TypeError,
                "race() function must be a function, got None. Give the function itself, without calling it",
            )

    def test_map(self):
        with branch() as b:
            self.says(
                lambda: b.map(abs, [1], limit=0),
                ValueError,
                "Branch.map() limit must be a whole number from 1 to 2147483647, or None, got 0",
            )
            self.says(
                lambda: b.map(abs, [1], 2),
                TypeError,
                "Branch.map() takes 3 positional arguments but 4 were given. Call it as Branch.map(fn, items, /, *, limit=None)",
            )
            self.says(
                lambda: b.map(abs, 1), TypeError, "Branch.map() items must be an iterable, got 1. For one call use add()"
            )

    def test_futures(self):
        future = concurrent.futures.Future()
        self.says(
            lambda: bough.as_completed([future]),
            TypeError,
            f"as_completed() children must be children, as Branch.add() returns them, got {future!r}. Use "
            "concurrent.futures.as_completed() for futures",
        )

    def test_a_list_of_functions(self):
        self.says(
            lambda: bough.race([print]), TypeError, f"race() function must be a function, got [{print}]. Write race(*functions)"
        )

    def test_limits_by_position(self):
        self.says(
            lambda: branch("all", 5),
            TypeError,
            "branch() takes at most 1 positional argument (2 given). Call it as branch(name='branch', *, strict=False, "
            "supervisor=False, limit=None, timeout=None, deadline=None)",
        )


class Executors(Mistake):
    def test_options(self):
        with bough.ThreadPoolExecutor(1) as pool:
            self.says(
                lambda: pool.options(timeout=-1),
                ValueError,
                "options() timeout must be a number of seconds, more than 0, or None, got -1",
            )
            self.says(lambda: pool.options(name=7), TypeError, "options() name must be text, got 7")

    def test_a_call_for_a_function(self):
        with bough.ThreadPoolExecutor(1) as pool:
            self.says(
                lambda: pool.submit(divmod(7, 2)),
                TypeError,
                "submit() fn must be a function, got (3, 1). Give the function itself, without calling it",
            )

    def test_async_function(self):
        with bough.ThreadPoolExecutor(1) as pool:
            self.says(
                lambda: pool.submit(ask),
                TypeError,
                f"submit() fn must be a function that is not async, got {ask}. Its call executes nothing: give a function that runs it "
                "by asyncio.run()",
            )

    def test_grace_alone(self):
        with bough.ThreadPoolExecutor(1) as pool:
            self.says(
                lambda: pool.shutdown(grace=5),
                ValueError,
                "shutdown() grace is the time that running calls have before they are stopped, got grace=5 without "
                "cancel_futures=True. Add cancel_futures=True, or leave grace out",
            )

    def test_after_the_shutdown(self):
        """the standard executor's message, and what to do"""
        with bough.ThreadPoolExecutor(1) as pool:
            pass
        for late in pool.submit, pool.options(name="late").submit, lambda fn: pool.map(fn, [1]):
            self.says(
                lambda: late(print),
                RuntimeError,
                "cannot schedule new futures after shutdown. Call submit() before shutdown() and inside the with block, or make another "
                "executor",
            )

    def test_arguments(self):
        self.says(
            lambda: bough.ThreadPoolExecutor("x"),
            TypeError,
            "ThreadPoolExecutor() max_workers must be a whole number, 1 or more, or None, got 'x'",
        )
        self.says(
            lambda: bough.ThreadPoolExecutor(0),
            ValueError,
            "max_workers must be greater than 0, got 0. Leave it out for a number that suits the machine",
        )
        self.says(
            lambda: bough.ThreadPoolExecutor(1, initializer="print"),
            TypeError,
            "ThreadPoolExecutor() initializer must be a function, got 'print'. Give the function itself, without calling it",
        )
        self.says(
            lambda: bough.ThreadPoolExecutor(1, initializer=print, initargs=7),
            TypeError,
            "ThreadPoolExecutor() initargs must be a tuple of arguments, got 7. Write initargs=(argument,) for one argument",
        )


class Asyncio(Mistake):
    def test_await_forgotten(self):
        self.warns(lambda: bough.to_thread(print), "coroutine 'to_thread' was never awaited")

    def test_a_call_for_a_function(self):
        self.says(
            lambda: asyncio.run(bough.to_thread(print())),
            TypeError,
            "to_thread() func must be a function, got None. Give the function itself, without calling it",
            shows=True,
        )

    def test_async_function(self):
        self.says(
            lambda: asyncio.run(bough.to_thread(ask)),
            TypeError,
            f"to_thread() func must be a function that is not async, got {ask}. It needs no thread: await it",
            shows=True,
        )


if __name__ == "__main__":
    unittest.main()
