# SPDX-License-Identifier: MIT
"""Which exception is raised, and when: raise_exc(), terminate(), asynchronous delivery (rules 43, 44).

In CPython the jump at the end of a loop is no part of the `try` around the loop, which does not catch an exception that
is raised there, nor a Ctrl-C. So the loops below call functions, in which the exception is raised up to 3.12; from 3.13
on it is raised at lines.
"""
import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import unittest

import bough
import client
from bough import ThreadExit, _bough
from tools import (
    Gate, bytecode, ended, open_what_stays, pipe, points, poll_for, read, started, still_there, switches,
    until, until_blocked, until_inside,
)

stays = ("*/libffi.so*",)  # by which ctypes makes callbacks
setUpModule = open_what_stays


class WithArguments(Exception):
    def __init__(self, a, b, *, c):
        super().__init__(a, b, c)


class NotToBeDerivedFrom(Exception):
    def __init_subclass__(cls, **kwargs):
        raise TypeError("this class allows no subclasses")


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
    """the raised exception is the very instance that was posted (rule 44)"""

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
        """for a class, an instance that the poster makes without arguments"""
        for function in (read, bytecode, points):
            self.assertIs(type(self.raised_in(function, KeyError)), KeyError)
        thread = started(points)
        with self.assertRaises(TypeError):
            thread.raise_exc(WithArguments)  # its constructor needs arguments
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
        """once it was raised, the next point raises nothing (rule 2)"""
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
        """each is raised, one after the other"""
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
        """of several exceptions that were not raised yet the first is raised"""
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
        """blocking calls of many kinds"""
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
        """no live thread: NotAliveError, a ValueError; no exception: TypeError"""
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
        for target in (None, b"x", 1.5):
            with self.subTest(target), self.assertRaises(TypeError):
                bough.raise_exc(target, KeyError)
        thread.interrupt()
        ended(thread)

    def test_cleared(self):
        """clear_interrupt() drops it, even if it is armed already"""
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


# ---- in C code -----------------------------------------------------------------------------------------------------------------


def until_looking(thread, function):
    """Waits until the thread is in client.ask_and_look(), called by the function: it then sleeps every millisecond."""
    until_inside(thread, function)
    before = sleeps(thread)
    until(lambda: sleeps(thread) >= before + 20, f"{thread} looks for signals")


def sleeps(thread):
    return int(switches(thread)[0].split()[1])


class InCCode(unittest.TestCase):
    """A plain thread in a C function that calls PyErr_CheckSignals(), and is not interrupted otherwise."""

    def raised_in(self, function):
        with pipe() as (r, w):
            thread = started(function, r, cls=threading.Thread)
            until_looking(thread, function)
            error = KeyError("x")
            bough.raise_exc(thread, error)
            there = True
            if _bough.signals_raise():
                until(lambda: not thread.is_alive(), "the end of the thread")
            else:
                there = still_there(thread)
                os.write(w, b"x")
            self.assertIs(ended(thread), error)
            return there

    def test_where_it_is_raised(self):
        """from 3.15 on, PyErr_CheckSignals() raises the exception of raise_exc(); before, it is raised when the call returns"""
        def run(fd):
            client.ask_and_look(fd)
            bytecode()

        self.assertTrue(self.raised_in(run))
        self.assertEqual(_bough.signals_raise(), sys.version_info >= (3, 15))

    def test_not_in_cleanup(self):
        """in a `finally` it waits"""
        def run(fd):
            try:
                pass
            finally:
                passed.append(client.ask_and_look(fd))
            bytecode()

        for _ in range(3):
            passed = []
            with pipe() as (r, w):
                thread = started(run, r, cls=threading.Thread)
                until_looking(thread, run)
                bough.raise_exc(thread, KeyError)
                self.assertTrue(still_there(thread))
                self.assertTrue(still_there(thread))
                os.write(w, b"x")
                self.assertIsInstance(ended(thread), KeyError)
                self.assertEqual(passed, [True])

    def test_left_without_it(self):
        """code that does not check for signals: the call returns, and the exception is raised at the next safe place"""
        def run(fd):
            try:
                client.ask(fd)
            finally:
                seen.append("cleanup")
                seen.append(len(seen))
            bytecode()

        for _ in range(20):
            seen = []
            with pipe() as (r, w):
                thread = started(run, r, cls=threading.Thread)
                until_blocked(thread)
                bough.raise_exc(thread, KeyError)
                self.assertTrue(still_there(thread))
                self.assertTrue(still_there(thread))
                os.write(w, b"x")
                self.assertIsInstance(ended(thread), KeyError)
                self.assertEqual(seen, ["cleanup", 1])
