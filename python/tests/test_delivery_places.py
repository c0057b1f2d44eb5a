# SPDX-License-Identifier: MIT
"""The places where an asynchronous exception may be raised, and the places where it never is (rule 43)."""
import asyncio
import contextlib
import gc
import os
import sys
import threading
import unittest
import warnings
import weakref
from pathlib import Path

import bough
from bough import ThreadExit, _async_safe, _own
from tools import assert_kept_out, bytecode, ended, open_what_stays, started, until

setUpModule = open_what_stays

# The exception may be raised between the call of a coroutine function and the wait for it.
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


def spin(n=300):
    for _ in range(n):
        pass


class Block:
    """Counts beginnings and ends, in steps that no exception may separate."""

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


def shapes(i, counter):
    for shape in SHAPES:
        shape(counter)


class Posted(BaseException):
    pass


# Threads at a time, and deliveries to each. bough checks for a safe place when the GIL changes hands, so this takes a
# while if many threads run.
THREADS, ROUNDS = 4, max(10, int(os.environ.get("BOUGH_LOSS", 2000)) // 200)


class Never(unittest.TestCase):
    """asynchronous delivery never interrupts code that must run to its end"""

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

    def keeps_out(self, work, threads, rounds, *args, **flags):
        """Delivers into work(i, counter), and checks that each counted beginning has an end. Returns the counters, and
        the number of deliveries."""
        counters = [Counter() for _ in range(threads)]
        came = self.deliver(lambda i: work(i, counters[i]), threads, rounds, *args, **flags)
        gc.collect()  # runs the remaining finalizers
        for name in {name for counter in counters for name in counter.begun}:
            begun, done = (sum(getattr(c, which).get(name, 0) for c in counters) for which in ("begun", "done"))
            self.assertEqual(begun, done, name)
        return counters, came

    def test_with_and_finally(self):
        """no __enter__, __exit__, finally or __del__ is interrupted"""
        threads, rounds = THREADS, ROUNDS
        blocks = [Block() for _ in range(threads)]

        def work(i, counter):
            shapes(i, counter)
            with blocks[i]:
                spin()

        counters, came = self.keeps_out(work, threads, rounds)
        self.assertEqual(came, threads * rounds)
        for counter in counters:
            self.assertLessEqual({"plain", "inner", "outer", "try inside", "by error", "__del__"}, set(counter.begun))
        for block in blocks:
            self.assertEqual(len(block.counts()), 1, vars(block))

    def test_critical_sections(self):
        """no critical section is interrupted"""

        def work(i, counter):
            with bough.critical_section():
                counter.begin("section"), spin(), counter.end("section")
            spin()

        self.keeps_out(work, THREADS, ROUNDS)

    def test_sticky_ones(self):
        """nor by interrupts of asynchronous threads"""
        self.keeps_out(shapes, THREADS, ROUNDS // 2, ThreadExit, lambda t: t.interrupt(), enable_async_interrupt=True)

    def test_collected(self):
        """a finalizer that the collector runs"""
        self.keeps_out(lambda i, counter: (in_cycle(counter), spin(3000)), 4, 5)

    def test_weakref_callback(self):
        """weakref.finalize's function"""

        class Thing:
            pass

        def call(c):
            c.begin("finalize")
            spin(3000)
            c.end("finalize")

        def work(i, counter):
            thing = Thing()
            weakref.finalize(thing, call, counter).atexit = False
            del thing
            spin(3000)

        self.keeps_out(work, 4, 5)

    def test_finally_that_does_not_end(self):
        """delivery waits for the end of a finally"""

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


class OwnFiles(unittest.TestCase):
    """No exception is raised in the package's files, so that each of their steps is completed."""

    PROGRAMS = {"__init__", "__main__", "_command_line", "_program"}  # executed before the program

    def test_every_file(self):
        """is in the list"""
        folder = Path(_own.HIDDEN)
        listed = {Path(name).stem for name in _own.OWN}
        found = {path.stem for path in folder.iterdir() if path.suffix == ".py"} - self.PROGRAMS
        self.assertEqual(listed, found)

    def test_executor(self):
        """an executor's calls, on both threads; an event loop's"""
        admitted, files = set(), set()

        def trace(frame, event, arg):
            file = Path(frame.f_code.co_filename).name
            if file not in ("_executor.py", "_call.py", "_to_thread.py"):
                return None
            files.add(file)
            frame.f_trace_opcodes = True
            if event == "opcode" and _async_safe.may_raise_in(frame):
                admitted.add((file, frame.f_lineno))
            return trace

        threading.settrace(trace)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with bough.ThreadPoolExecutor(1) as pool:
                pool.options(timeout=30, name="x").submit(print, end="").result()
                pool.submit(threading.Event().wait).cancel()
            asyncio.run(bough.to_thread(print, end=""))
        finally:
            sys.settrace(before)
            threading.settrace(None)
        self.assertEqual((admitted, files), (set(), {"_executor.py", "_call.py", "_to_thread.py"}))


class Entering(unittest.TestCase):
    """A context that was entered is left, at whichever admitted instruction the exception is raised."""

    def at_each(self, function):
        """Calls `function(block)` with an exception at each admitted place, one after the other."""
        number = 0
        while self.raises_at(number, function):
            number += 1
        self.assertGreater(number, 5)

    def raises_at(self, number, function):
        seen, block = 0, Block()

        def trace(frame, event, arg):
            nonlocal seen
            if frame.f_code.co_filename == _async_safe.__file__:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode" and frame is not top and _async_safe.may_raise_in(frame):
                seen += 1
                if seen > number:
                    raise Posted
            return trace

        top = sys._getframe()
        top.f_trace_opcodes = True  # Python 3.12 reports no opcodes without this before settrace()
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function(block)
        except Posted:
            return True
        finally:
            sys.settrace(before)
            self.assertEqual(block.entering, block.left, f"place {number}")
        return False

    def test_exit_stack(self):
        """ExitStack.enter_context(), in a stack that is itself handed over"""

        def function(block):
            with contextlib.ExitStack() as stack:
                stack.enter_context(block)
                with stack.pop_all():
                    pass

        self.at_each(function)

    def test_async_exit_stack(self):
        """AsyncExitStack's, and enter_async_context()"""

        class Both(Block):
            async def __aenter__(self):
                self.__enter__()

            async def __aexit__(self, *error):
                self.__exit__()

        async def coroutine(block):
            both = Both()
            try:
                async with contextlib.AsyncExitStack() as stack:
                    stack.enter_context(block)
                    await stack.enter_async_context(both)
            finally:
                self.assertEqual(both.entering, both.left)

        def function(block):
            try:
                coroutine(block).send(None)
            except StopIteration:
                pass

        self.at_each(function)

    def test_unittest(self):
        """TestCase.enterContext()"""

        def function(block):
            test = unittest.TestCase("run")
            try:
                test.enterContext(block)
            finally:
                test.doCleanups()

        self.at_each(function)


if __name__ == "__main__":
    unittest.main()
