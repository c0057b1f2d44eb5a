# SPDX-License-Identifier: MIT
"""What is raised, and where it may come in: raise_exc(), terminate(), asynchronous delivery (rules 43, 44).

CPython does not take the jump that ends a loop for a part of the `try` around it: what comes in there, a Ctrl-C as well, is not
caught by that. So up to 3.12 the loops below call functions, in which the exception comes instead; from 3.13 on it comes at lines.
"""
import ast
import asyncio
import contextlib
import ctypes
import gc
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import types
import unittest
import weakref

import bough
from bough import ThreadExit, _place
from tools import (
    Gate, assert_kept_out, bytecode, ended, open_what_stays, pipe, points, poll_for, read, started, until, until_blocked,
    until_inside,
)

setUpModule = open_what_stays


class WithArguments(Exception):
    def __init__(self, a, b, *, c):
        super().__init__(a, b, c)


class NotToBeDerivedFrom(Exception):
    def __init_subclass__(cls, **kwargs):
        raise TypeError("no subclass, please")


class WithoutState(BaseException):
    __slots__ = ()

    def __eq__(self, other):
        raise RuntimeError("not to be compared")

    __hash__ = None


class WithMeta(type):
    def __call__(cls, *args, **kwargs):
        return super().__call__("by its metaclass")


class ByMeta(Exception, metaclass=WithMeta):
    pass


class Exact(unittest.TestCase):
    """what is raised is the very instance that was posted (rule 44)"""

    instances = (
        TypeError("blah"),
        KeyError(),
        WithArguments(1, 2, c=3),
        NotToBeDerivedFrom("x"),
        WithoutState(),
        ByMeta(),
        KeyboardInterrupt("from a thread"),
        SystemExit(3),
        StopIteration("x"),
        GeneratorExit(),
        OSError(5, "as if a call had failed"),
        ThreadExit("by hand"),
        ExceptionGroup("several", [KeyError(1), ValueError(2)]),
        asyncio.CancelledError(),
    )

    def raised_in(self, function, exc, cls=bough.Thread):
        with pipe() as (r, w):
            thread = started(function, *((r,) if function is read else ()), cls=cls)
            thread.raise_exc(exc) if cls is bough.Thread else bough.raise_exc(thread, exc)
            return ended(thread)

    def test_in_calls(self):
        """in a blocking call"""
        for error in self.instances:
            with self.subTest(repr(error)):
                self.assertIs(self.raised_in(read, error), error)

    def test_in_bytecode(self):
        """in bytecode, of plain threads as well"""
        for error in self.instances:
            for cls in (bough.Thread, threading.Thread):
                with self.subTest(repr(error)):
                    self.assertIs(self.raised_in(bytecode, error, cls), error)

    def test_at_points(self):
        """at check_interrupt()"""
        for error in self.instances:
            with self.subTest(repr(error)):
                self.assertIs(self.raised_in(points, error), error)

    def test_classes(self):
        """of a class, an instance that was made without arguments, by the poster"""
        for function in (read, bytecode, points):
            self.assertIs(type(self.raised_in(function, KeyError)), KeyError)
        thread = started(points)
        with self.assertRaises(TypeError):
            thread.raise_exc(WithArguments)  # it needs arguments
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)

    def test_terminate(self):
        """terminate() raises SystemExit, which ends it silently"""
        for function in (read, bytecode, points):
            with pipe() as (r, w):
                thread = started(function, *((r,) if function is read else ()))
                thread.terminate()
                self.assertIs(type(ended(thread)), SystemExit)

    def test_consumed(self):
        """once raised it is over: the next point raises nothing (rule 2)"""
        def run():
            try:
                points()
            except KeyError:
                bough.check_interrupt()
                time.sleep(0.01)
                return bough.interruption_requested()

        thread = started(run)
        until_inside(thread, points)
        thread.raise_exc(KeyError)
        self.assertIsNone(ended(thread))
        self.assertIs(thread.result, False)

    def test_several_in_a_row(self):
        """one after the other, each comes"""
        def run():
            for _ in errors:
                try:
                    x = None
                    bytecode()
                except KeyError as error:
                    seen.append(error)
            return x

        errors, seen = [KeyError(i) for i in range(20)], []
        thread = started(run)
        for count, error in enumerate(errors):
            until(lambda: len(seen) == count, lambda: f"{count} exceptions: {seen}")
            until_inside(thread, bytecode)
            thread.raise_exc(error)
        self.assertIsNone(ended(thread))
        self.assertEqual([id(error) for error in seen], [id(error) for error in errors])
        for error in errors:
            error.__traceback__ = None

    def test_first_counts(self):
        """of several that were not raised yet the first counts"""
        inside, go = Gate(), Gate()

        def run():
            with bough.critical_section():
                inside.open()
                go.passed()
            points()

        thread = started(run)
        inside.passed()
        first = KeyError("first")
        thread.raise_exc(first), thread.raise_exc(ValueError("second"))
        go.open()
        self.assertIs(ended(thread), first)

    def test_traceback(self):
        """the traceback begins where it was raised"""
        error = KeyError("x")

        def run():
            try:
                x = 1
                bytecode()
            except KeyError as e:
                return x, e.__traceback__.tb_next.tb_frame.f_code.co_name

        thread = started(run)
        until_inside(thread, bytecode)
        thread.raise_exc(error)
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, (1, "bytecode"))

    def test_native_calls(self):
        """blocking calls of many sorts"""
        left, right = socket.socketpair()
        event, lock, items = threading.Event(), threading.Lock(), queue.Queue()
        lock.acquire()
        child = subprocess.Popen(["sleep", "1000"])
        sleeper = started(event.wait)
        calls = {
            "sleep": lambda: time.sleep(1000),
            "recv": lambda: left.recv(1),
            "event": event.wait,
            "lock": lock.acquire,
            "queue": items.get,
            "wait": child.wait,
            "join": sleeper.join,
            "join, timed": lambda: sleeper.join(1000),
        }
        for name, call in calls.items():
            with self.subTest(name):
                thread = started(call)
                until_blocked(thread)
                error = KeyError(name)
                thread.raise_exc(error)
                self.assertIs(ended(thread), error)
        child.kill(), child.wait()
        event.set(), ended(sleeper), left.close(), right.close()

    def test_errors(self):
        """no live thread: ValueError; no exception: TypeError"""
        dead = started(lambda: None)
        ended(dead)
        for thread in (dead, bough.Thread(), 12345):
            with self.subTest(thread), self.assertRaises(ValueError):
                bough.raise_exc(thread, KeyError)
        for method in (dead.terminate, lambda: dead.raise_exc(KeyError), bough.Thread().terminate):
            with self.assertRaises(ValueError):
                method()
        thread = started(poll_for, bough.interruption_requested)
        for what in ("x", 1, None, object, int, object()):
            with self.subTest(what), self.assertRaises(TypeError):
                thread.raise_exc(what)
        for target in (None, "x", 1.5):
            with self.subTest(target), self.assertRaises(TypeError):
                bough.raise_exc(target, KeyError)
        thread.interrupt()
        ended(thread)

    def test_cleared(self):
        """clear_interrupt() forgets it, also when it is armed already"""
        def run():
            with bough.critical_section():
                inside.open()
                go.passed()
                bough.clear_interrupt()
            for _ in range(1_000_000):
                pass

        inside, go = Gate(), Gate()
        thread = started(run)
        inside.passed()
        thread.raise_exc(KeyError)
        go.open()
        self.assertIsNone(ended(thread))


# ---- where ---------------------------------------------------------------------------------------------------------------


def spin(n=300):
    for _ in range(n):
        pass


class Block:
    """Counts what is begun and what is done, in steps that nothing may come between."""

    def __init__(self):
        self.entering = self.entered = self.leaving = self.left = 0

    def __enter__(self):
        self.entering += 1
        spin()
        self.entered += 1

    def __exit__(self, *error):
        self.leaving += 1
        spin()
        self.left += 1

    def counts(self):
        return {self.entering, self.entered, self.leaving, self.left}


class Counter:
    """Finally blocks of several shapes: begun, and done."""

    def __init__(self):
        self.begun, self.done = {}, {}

    def begin(self, name):
        self.begun[name] = self.begun.get(name, 0) + 1

    def end(self, name):
        self.done[name] = self.done.get(name, 0) + 1


def plain(c):
    try:
        spin()
    finally:
        c.begin("plain"), spin(), c.end("plain")


def nested(c):
    try:
        try:
            spin()
        finally:
            c.begin("inner")
            spin()
            c.end("inner")
    finally:
        c.begin("outer")
        spin()
        c.end("outer")


def try_inside(c):
    try:
        spin()
    finally:
        c.begin("try inside")
        try:
            raise KeyError
        except KeyError:
            spin()
        try:
            spin()
        finally:
            spin()
        c.end("try inside")


def with_inside(c):
    try:
        spin()
    finally:
        c.begin("with inside")
        with contextlib.suppress(KeyError):
            spin()
            raise KeyError
        c.end("with inside")


def by_error(c):
    with contextlib.suppress(ValueError):
        try:
            spin()
            raise ValueError
        finally:
            c.begin("by error")
            for _ in range(3):
                spin(100)
            c.end("by error")


def by_return(c):
    def inner():
        try:
            return spin()
        finally:
            c.begin("by return")
            spin()
            c.end("by return")

    inner()


@contextlib.contextmanager
def managed(c):
    c.begin("contextmanager's begin")
    spin()
    c.end("contextmanager's begin")
    try:
        yield
    finally:
        c.begin("contextmanager's end")
        spin()
        c.end("contextmanager's end")


def by_generator(c):
    with managed(c):
        spin()


class Finalized:
    c = None

    def __init__(self, c):
        self.c = c

    def __del__(self):
        if self.c is None:
            return
        self.c.begin("__del__")
        spin()
        self.c.end("__del__")


def finalizer(c):
    Finalized(c)
    spin()


def in_cycle(c):
    thing = Finalized(c)
    thing.me = thing
    del thing
    gc.collect(0)


SHAPES = (plain, nested, try_inside, with_inside, by_error, by_return, by_generator, finalizer)


class Posted(BaseException):
    pass


# Threads at a time, and deliveries to each. Whether one may come in is asked when the interpreter lock changes hands, so it takes
# a while where many threads run.
THREADS, ROUNDS = 4, max(10, int(os.environ.get("BOUGH_LOSS", 2000)) // 200)


class Never(unittest.TestCase):
    """asynchronous delivery never enters what must not be broken"""

    limit = 300

    def deliver(self, work, threads, rounds, exit=Posted, post=lambda thread: thread.raise_exc(Posted()), **flags):
        """Posts to each thread, `rounds` times, when it is inside of the `try`; returns how many came."""
        inside, caught, stop = [0] * threads, [0] * threads, []

        def run(i):
            while not stop:
                try:
                    inside[i] = caught[i] + 1
                    while not stop:
                        work(i)
                except exit:
                    bough.clear_interrupt()
                    caught[i] += 1

        running = [started(run, i, **flags) for i in range(threads)]
        try:
            for n in range(1, rounds + 1):
                until(lambda: min(inside) >= n, "each thread's loop")
                for thread in running:
                    post(thread)
                until(lambda: min(caught) >= n, lambda: f"round {n}: {caught} {inside} {[t.is_alive() for t in running]} {[t.raised for t in running]}")
        finally:
            stop.append(1)
            errors = [ended(thread) for thread in running]
        self.assertEqual(errors, [None] * threads)
        return sum(caught)

    def test_with_and_finally(self):
        """no __enter__, __exit__, finally or __del__ is broken"""
        threads, rounds = THREADS, ROUNDS
        blocks, counters = [Block() for _ in range(threads)], [Counter() for _ in range(threads)]

        def work(i):
            for shape in SHAPES:
                shape(counters[i])
            with blocks[i]:
                spin()

        self.assertEqual(self.deliver(work, threads, rounds), threads * rounds)
        for counter in counters:
            self.assertEqual(counter.begun, counter.done)
            self.assertEqual(set(counter.begun) >= {"plain", "inner", "outer", "try inside", "by error", "__del__"}, True)
        for block in blocks:
            self.assertEqual(len(block.counts()), 1, vars(block))

    def test_critical_sections(self):
        """no critical section is broken"""
        threads, rounds = THREADS, ROUNDS
        begun, done, seen = [0] * threads, [0] * threads, [0] * threads

        def work(i):
            with bough.critical_section():
                begun[i] += 1
                spin(300)
                done[i] += 1
            seen[i] += 1
            spin()

        self.deliver(work, threads, rounds)
        self.assertEqual(begun, done)

    def test_sticky_ones(self):
        """interrupts of asynchronous threads neither"""
        threads, rounds = THREADS, ROUNDS // 2
        counters = [Counter() for _ in range(threads)]

        def work(i):
            for shape in SHAPES:
                shape(counters[i])

        self.deliver(work, threads, rounds, ThreadExit, lambda t: t.interrupt(), enable_async_interrupt=True)
        for counter in counters:
            self.assertEqual(counter.begun, counter.done)

    def test_collected(self):
        """a finalizer that the collector runs"""
        threads = 4
        counters = [Counter() for _ in range(threads)]
        self.deliver(lambda i: (in_cycle(counters[i]), spin(3000)), threads, 5)
        gc.collect()
        begun, done = (sum(getattr(c, name).get("__del__", 0) for c in counters) for name in ("begun", "done"))
        self.assertEqual(begun, done)

    def test_weakref_callback(self):
        """weakref.finalize's function"""
        threads = 4
        counters = [Counter() for _ in range(threads)]

        class Thing:
            pass

        def call(c):
            c.begin("finalize")
            spin(3000)
            c.end("finalize")

        def work(i):
            thing = Thing()
            weakref.finalize(thing, call, counters[i]).atexit = False
            del thing
            spin(3000)

        self.deliver(work, threads, 5)
        for counter in counters:
            self.assertEqual(counter.begun, counter.done)

    def test_finally_that_does_not_end(self):
        """a finally is waited for"""

        def run(inside, leave):
            try:
                pass
            finally:
                inside.open()
                while not leave:
                    pass
                leave.append(2)
            bytecode()

        assert_kept_out(self, run)


class FinallyIsFound(unittest.TestCase):
    """The lines of each `finally`, by the bytecode and by the source."""

    def code_objects(self, code):
        yield code
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from self.code_objects(constant)

    def by_source(self, tree):
        lines = set()
        for node in ast.walk(tree):
            if isinstance(node, (ast.Try, ast.TryStar)):
                for statement in node.finalbody:
                    lines.update(range(statement.lineno, statement.end_lineno + 1))
        return lines

    def test_standard_library(self):
        """in the standard library there is no difference"""
        folder = os.path.dirname(os.__file__)
        found = 0
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".py"):
                continue
            source = open(os.path.join(folder, name), encoding="utf-8", errors="replace").read()
            wanted = self.by_source(ast.parse(source))
            for code in self.code_objects(compile(source, name, "exec")):
                lines = {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
                if lines and lines <= wanted:
                    continue  # a function that is made in a finally
                have = _place.finally_lines(code)
                self.assertEqual(have & lines, wanted & lines, f"{name}: {code.co_name}")
                found += len(have)
        self.assertGreater(found, 200)


# ---- swallowed -----------------------------------------------------------------------------------------------------------------


class Swallowed(unittest.TestCase):
    """What was swallowed in __del__ or by C code is armed again (rule 44)."""

    def swallowed_in_del(self, post, wanted):
        """A finalizer meets a point, where it is raised; the interpreter drops it; it comes again."""

        class Meets:
            def __del__(self):
                bough.check_interrupt()
                seen.append("not raised")

        def run():
            with bough.critical_section():
                poll_for(bough.interruption_requested)
            Meets()
            seen.append("after")
            points()

        seen = []
        thread = started(run)
        until_inside(thread, poll_for)
        post(thread)
        error = ended(thread)
        self.assertEqual(seen, ["after"])
        return error

    def test_interrupt_in_del(self):
        """an interrupt"""
        self.assertIsInstance(self.swallowed_in_del(lambda t: t.interrupt(), ThreadExit), ThreadExit)

    def test_exception_in_del(self):
        """the very instance that was posted"""
        error = KeyError("x")
        self.assertIs(self.swallowed_in_del(lambda t: t.raise_exc(error), KeyError), error)

    def test_terminate_in_del(self):
        """SystemExit of terminate()"""
        self.assertIs(type(self.swallowed_in_del(lambda t: t.terminate(), SystemExit)), SystemExit)

    def test_by_c_code(self):
        """in a callback from C, whose caller drops exceptions"""
        def callback():
            bough.check_interrupt()
            return 0

        def run():
            with bough.critical_section():
                poll_for(bough.interruption_requested)
            ctypes.CFUNCTYPE(ctypes.c_int)(callback)()
            bytecode()

        error = KeyError("x")
        thread = started(run)
        thread.raise_exc(error)
        self.assertIs(ended(thread), error)

    def test_others_are_reported(self):
        """what is nobody's interrupt is reported as ever"""
        def run():
            class Fails:
                def __del__(self):
                    raise error

            Fails()

        hook, seen = sys.unraisablehook, []
        error = KeyError("x")
        # our own hook stands in front of the one that was there at the opt-in
        bough.opt_out()
        sys.unraisablehook = lambda unraisable: seen.append(unraisable.exc_value)
        try:
            bough.opt_in()
            self.assertIsNone(ended(started(run)))
        finally:
            bough.opt_out()
            sys.unraisablehook = hook
            bough.opt_in()
        self.assertEqual(seen, [error])


if __name__ == "__main__":
    unittest.main()
