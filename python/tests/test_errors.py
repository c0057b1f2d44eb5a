# SPDX-License-Identifier: MIT
"""Wrong arguments of the public functions: the error names the function and the parameter, what was got, and what to do."""
import asyncio
import datetime
import decimal
import functools
import io
import math
import threading
import time
import types
import unittest

import bough
from bough import branch
from tools import Gate, ended, started

stays = ("anon_inode:*event*",)  # the async thread's descriptor

NAN = float("nan")
NO_SECONDS = ("5", b"5", True, [], 1j, datetime.timedelta(seconds=5))
NO_FUNCTIONS = (None, 5, "print")


async def coroutine():
    pass


async def asynchronous_generator():
    yield


def generator():
    yield


@types.coroutine
def old_coroutine():
    yield


class Asynchronous:
    async def __call__(self):
        pass

    async def method(self):
        pass

    @staticmethod
    async def static():
        pass

    @classmethod
    async def of_class(cls):
        pass


ASYNCHRONOUS = (
    coroutine,
    asynchronous_generator,
    old_coroutine,
    functools.partial(coroutine),
    functools.partial(functools.partial(Asynchronous().method)),
    Asynchronous(),
    Asynchronous().method,
    Asynchronous.static,
    Asynchronous.of_class,
    vars(Asynchronous)["static"],
)


class Errors(unittest.TestCase):
    def refused(self, error, call, *words):
        """The call fails, and each of the words is in the message."""
        with self.assertRaises(error) as caught:
            call()
        for word in words:
            self.assertIn(word, str(caught.exception))
        return caught.exception


class Numbers(Errors):
    # Parameters in seconds: the function and parameter, whether None is allowed, whether 0 is.
    SECONDS = (
        ("branch() timeout", lambda s: branch(timeout=s), True, True),
        ("on_interrupt() deadline", lambda s: bough.on_interrupt(print, deadline=s), False, True),
        ("critical_section() budget", lambda s: bough.critical_section(budget=s), True, False),
        ("cleanup() grace", lambda s: bough.cleanup(grace=s), True, False),
        ("resume() seconds", bough.resume, False, True),
        ("set_ladder() grace", lambda s: bough.set_ladder(grace=s), True, False),
        ("set_ladder() cap", lambda s: bough.set_ladder(cap=s), True, False),
        ("set_ladder() times[2]", lambda s: bough.set_ladder(times={2: s}), True, False),
    )

    def test_seconds(self):
        for what, call, none, zero in self.SECONDS:
            for wrong in NO_SECONDS if none else (*NO_SECONDS, None):
                with self.subTest(what, wrong=wrong):
                    self.refused(TypeError, lambda: call(wrong), what, "seconds", f"got {wrong!r}")
            for wrong in (-1, NAN, -math.inf, -(10**400)) if zero else (-1, 0, NAN, -math.inf, math.inf, 10**400):
                with self.subTest(what, wrong=wrong):
                    self.refused(ValueError, lambda: call(wrong), what, "seconds", "got ")
            for right in (1, 0.5, decimal.Decimal("0.5"), *[None] * none, *[0] * zero):
                call(right)
        bough.set_ladder()

    def test_a_time_for_seconds(self):
        for what, call in ("branch() timeout", lambda s: branch(timeout=s)), ("resume() seconds", bough.resume):
            self.refused(ValueError, lambda: call(time.time() + 5), what, "time.time()", "seconds from now")
        branch(timeout=math.inf), branch(timeout=10**400), branch(timeout=1e300)

    def test_timedelta(self):
        self.refused(TypeError, lambda: branch(timeout=datetime.timedelta(1)), "branch() timeout", "total_seconds()")

    def test_deadline(self):
        """is a time of time.monotonic(): other clocks are refused"""
        with branch() as b:
            for what, call in ("branch() deadline", lambda at: branch(deadline=at)), ("set_deadline() deadline", b.set_deadline):
                for wrong in "5", True, [], datetime.datetime.now():
                    with self.subTest(what, wrong=wrong):
                        self.refused(TypeError, lambda: call(wrong), what, "time.monotonic()", f"got {wrong!r}")
                for wrong in NAN, -1, -math.inf, time.time_ns(), time.monotonic_ns() * 1000, 10**18:
                    with self.subTest(what, wrong=wrong):
                        self.refused(ValueError, lambda: call(wrong), what, "time.monotonic()", f"got {wrong!r}")
                now = time.time()
                for wrong in now + 5, now - 5, int(now):
                    with self.subTest(what, wrong=wrong):
                        self.refused(ValueError, lambda: call(wrong), what, "time.time()", "time.monotonic() + seconds")
                for right in None, math.inf, time.monotonic() + 3600:
                    call(right)
            b.set_deadline(None)

    def test_a_deadline_that_has_passed(self):
        """has expired at once, and the TimeoutError mentions that seconds may have been meant"""
        with self.assertRaises(TimeoutError) as caught, branch(deadline=0.5):
            bough.check_interrupt()
        self.assertIn("before the block began", "\n".join(caught.exception.__notes__))
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.01):
            time.sleep(20)
        self.assertNotIn("before the block began", "\n".join(caught.exception.__notes__))

    def test_join(self):
        with branch() as b:
            child = b.add(int)
            for wrong in NO_SECONDS:
                self.refused(TypeError, lambda: child.join(wrong), "Child.join() timeout", f"got {wrong!r}")
            self.refused(ValueError, lambda: child.join(NAN), "Child.join() timeout", "got nan")
            for right in math.inf, 10**400, None, threading.TIMEOUT_MAX, 20:
                self.assertTrue(child.join(right))
            child.join(-1)

    def test_whole_numbers(self):
        for what, call, least in (
            ("branch() limit", lambda n: branch(limit=n), 1),
            ("exit_tier() tier", lambda n: bough.exit_tier(n, print), -(1 << 31)),
        ):
            for wrong in "1", 1.0, True, []:
                with self.subTest(what, wrong=wrong):
                    self.refused(TypeError, lambda: call(wrong), what, "whole number", f"got {wrong!r}")
            for wrong in least - 1, 1 << 31, 10**30:
                with self.subTest(what, wrong=wrong):
                    self.refused(ValueError, lambda: call(wrong), what, "whole number", f"got {wrong!r}")
        branch(limit=None), branch(limit=1)


class Functions(Errors):
    CALLBACKS = (
        ("on_interrupt() callback", bough.on_interrupt),
        ("handler() callback", bough.handler),
        ("closer() callback", bough.closer),
        ("exit_tier() callback", lambda f: bough.exit_tier(0, f)),
        ("on_transition() callback", bough.on_transition),
        ("Thread target", lambda f: bough.Thread(target=f).start()),
    )

    def test_callbacks(self):
        """functions whose call executes nothing, and objects that can't be called"""
        for what, call in self.CALLBACKS:
            for wrong in NO_FUNCTIONS:
                if wrong is None and what in ("on_transition() callback", "Thread target"):
                    continue
                with self.subTest(what, wrong=wrong):
                    self.refused(TypeError, lambda: call(wrong), what, "must be a function", f"got {wrong!r}")
            for wrong in ASYNCHRONOUS:
                with self.subTest(what, wrong=wrong):
                    self.refused(TypeError, lambda: call(wrong), what, "not async", "asyncio.run()")
            self.refused(TypeError, lambda: call(generator), what, "not a generator function", "iterate")

    def test_run_of_a_thread(self):
        class Wrong(bough.Thread):
            async def run(self):
                pass

        thread = Wrong()
        self.refused(TypeError, thread.start, "Thread.run()", "not async", "asyncio.run()")
        self.assertIsNone(thread.ident)

    def test_add(self):
        """nothing is started, and the object to be closed is closed"""
        for wrong in *NO_FUNCTIONS, *ASYNCHRONOUS:
            file = io.StringIO()
            with self.subTest(wrong=wrong), branch() as b:
                self.refused(TypeError, lambda: b.add(wrong, closing=file), "add() fn", "must be a function")
            self.assertTrue(file.closed)
        task = coroutine()
        with branch() as b:
            self.refused(TypeError, lambda: b.add(task), "add() fn", "asyncio.run as the function")
            child = b.add(asyncio.run, task)
            iterator = b.add(generator)
        self.assertEqual((child.outcome, list(iterator.result())), ("ok", [None]))

    def test_a_coroutine_as_the_result(self):
        """of a lambda, a decorator or a method of a C class: the child has failed"""
        for wrong in lambda: coroutine(), functools.lru_cache(coroutine):
            with self.subTest(wrong), branch(supervisor=True) as b:
                child = b.add(wrong, name="the child")
            self.assertEqual(child.outcome, "error")
            self.assertRegex(str(child.exception), "the child has returned <coroutine .* Run it by asyncio.run()")
        begun = coroutine()
        begun.close()
        with branch() as b:
            child = b.add(lambda: begun)
        self.assertIs(child.result(), begun)

    def test_closing(self):
        """an object without close(), or with a close() that closes nothing, is refused; one with close() is closed"""
        class Wrong:
            async def close(self):
                pass

        for wrong in None, 5, object():
            file = io.StringIO()
            with self.subTest(wrong=wrong), branch() as b:
                self.refused(TypeError, lambda: b.add(print, closing=(file, wrong)), "add() closing", "close() method")
            self.assertTrue(file.closed)
        with branch() as b:
            self.refused(TypeError, lambda: b.add(print, closing=Wrong()), "add() closing", "not async")


class Threads(Errors):
    def test_not_alive(self):
        """is a threading.ThreadError, as in the recipes for Python 2, and a ValueError"""
        self.assertTrue(issubclass(bough.NotAliveError, threading.ThreadError) and issubclass(bough.NotAliveError, ValueError))
        dead, new = started(int), bough.Thread()
        ended(dead)
        plain = threading.Thread()
        for thread, why in (dead, "has ended"), (new, "not been started"), (plain, "not been started"), (12345, "12345"), (-1, "-1"):
            for name, call in (
                ("interrupt() thread", lambda t: bough.interrupt(t)),
                ("raise_exc() thread", lambda t: bough.raise_exc(t, KeyError)),
                ("terminate() thread", lambda t: bough.terminate(t)),
                ("set_ladder() target", lambda t: bough.set_ladder(t, grace=1)),
            ):
                with self.subTest(name, thread=thread):
                    self.refused(bough.NotAliveError, lambda: call(thread), why, name)
        for method in dead.terminate, new.terminate, lambda: dead.raise_exc(KeyError), lambda: new.raise_exc(KeyError):
            self.refused(bough.NotAliveError, method)
        with branch() as b:
            child = b.add(int)
            child.join()
            for method in child.terminate, lambda: child.raise_exc(KeyError):
                self.refused(bough.NotAliveError, method, "is not alive")
        self.refused(bough.NotAliveError, lambda: bough.interrupt(threading.get_ident() + (1 << 64)))

    def test_no_thread(self):
        for wrong in None, b"x", 1.5, True, object():
            for name, call in (
                ("interrupt() thread", bough.interrupt),
                ("raise_exc() thread", lambda t: bough.raise_exc(t, KeyError)),
                ("terminate() thread", bough.terminate),
                ("set_ladder() target", bough.set_ladder),
                ("get_ladder() target", bough.get_ladder),
            ):
                if wrong is not None or "ladder" not in name:
                    with self.subTest(name, wrong=wrong):
                        self.refused(TypeError, lambda: call(wrong), name, "threading.Thread", f"got {wrong!r}")
        with branch() as b:
            child = b.add(int)
            self.refused(TypeError, lambda: bough.raise_exc(child, KeyError), "raise_exc() thread", "Call its method")
        self.refused(TypeError, lambda: bough.set_ladder(branch()), "set_ladder() target", "a branch that is open")

    def test_exceptions(self):
        gate = Gate()
        thread = started(gate.passed)
        for wrong in "x", 1, None, object, int, object():
            self.refused(TypeError, lambda: thread.raise_exc(wrong), "raise_exc() exc", "an exception", f"got {wrong!r}")
        error = self.refused(TypeError, lambda: thread.raise_exc(UnicodeDecodeError), "raise_exc() exc", "Give an instance")
        self.assertIsInstance(error.__cause__, TypeError)
        gate.open()
        ended(thread)


class Text(Errors):
    def test_reasons(self):
        dead, new = started(int), bough.Thread()
        ended(dead)
        with branch() as b:
            child = b.add(int)
            child.join()
            for name, call in (
                ("interrupt() reason", lambda r: bough.interrupt(threading.get_ident(), r)),
                ("interrupt_all_threads() reason", bough.interrupt_all_threads),
                ("Thread.interrupt() reason", new.interrupt),
                ("Thread.interrupt() reason", dead.interrupt),
                ("Branch.interrupt() reason", b.interrupt),
                ("Child.interrupt() reason", child.interrupt),
            ):
                for wrong in b"no text", 5, True, KeyError():
                    with self.subTest(name, wrong=wrong):
                        self.refused(TypeError, lambda: call(wrong), name, "text or None", f"got {wrong!r}")
        self.assertFalse(bough.interruption_requested())

    def test_any_text(self):
        """also text that C strings or UTF-8 can't represent"""
        for text, kept in ("a\0b", "ab"), ("a\udcffb", "a?b"), ("\u00e4\u20ac", "\u00e4\u20ac"):
            bough.interrupt(threading.get_ident(), text)
            self.assertEqual(bough.reason().reason, kept)
            bough.clear_interrupt()
            with self.assertRaises(KeyError), branch(text) as b:
                b.add(int, name=text)
                raise KeyError(text)
            thread = bough.Thread(target=int, name=text)
            thread.start()
            thread.join()

    def test_name(self):
        for wrong in 5, None, 0.5, b"x":
            self.refused(TypeError, lambda: branch(wrong), "branch() name", "timeout=", f"got {wrong!r}")


class Ladder(Errors):
    def test_ladder(self):
        for wrong, what, expected in (
            ({"times": {7: 1}}, "a key of set_ladder() times", "1 to 6"),
            ({"times": 5}, "set_ladder() times", "{rung: seconds}"),
            ({"ceilings": {"x": 1}}, "a key of set_ladder() ceilings", "stop, timeout"),
            ({"ceilings": {"stop": 9}}, "set_ladder() ceilings['stop']", "1 to 6"),
            ({"ceilings": [1]}, "set_ladder() ceilings", "{kind: rung}"),
        ):
            error = TypeError if "{" in expected else ValueError
            with self.subTest(wrong):
                self.refused(error, lambda: bough.set_ladder(**wrong), what, expected, "got ")

    def test_files(self):
        for what, call in ("dump() file", bough.dump), ("last_words() file", bough.last_words):
            for wrong in 1.5, True, [], object():
                with self.subTest(what, wrong=wrong):
                    self.refused(TypeError, lambda: call(wrong), what, "descriptor", f"got {wrong!r}")
        self.refused(TypeError, lambda: bough.dump("a path"), "dump() file", "got 'a path'")
        bough.last_words()

    def test_repr(self):
        """a value whose repr() fails, or is long"""
        class Wrong:
            def __repr__(self):
                raise KeyError

        self.refused(TypeError, lambda: branch(timeout=Wrong()), "branch() timeout", "Wrong")
        self.assertLess(len(str(self.refused(TypeError, lambda: branch(timeout="x" * 10000), "..."))), 300)


if __name__ == "__main__":
    unittest.main()
