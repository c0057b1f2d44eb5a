# SPDX-License-Identifier: MIT
"""Stopping a thread: the time from the request to the thread's end, for bough and for the usual methods; the costs of
an executor and a scope.

If a package is not installed, its method is implemented here in a few lines: func_timeout sets an asynchronous
exception; with cancelscope the code tests at its checkpoints, and its sleep() ends at once; an Event is polled.
"""
import ctypes
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import bough
from branches import alone
from measure import OPTED_IN, Row, pairs_of_processes, row_of_pairs, state, without_gc

try:
    import stopit
except ImportError:
    stopit = None

LONGEST = 1.5  # the seconds that the blocked call takes if a method can't end it
POLLED = 0.05  # the seconds between two tests of an Event


# ---- ways to stop -------------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    pass


def blocked(checkpoint):
    time.sleep(LONGEST)


def polls(checkpoint):
    """A blocking call that was rewritten for a flag."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        checkpoint()
        time.sleep(POLLED)


def sleeps(checkpoint):
    """A blocking call that was rewritten for a scope's sleep()."""
    checkpoint.sleep(LONGEST)


def computes(checkpoint):
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        pass


def asks(checkpoint):
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        checkpoint()


def of_bough(function, asynchronous=False):
    thread = bough.Thread(target=function, args=(bough.check_interrupt,))
    thread.enable_io_interrupt, thread.enable_async_interrupt = True, asynchronous
    return thread, thread.interrupt


def asynchronous(function):
    return of_bough(function, True)


def of_event(function):
    event = threading.Event()

    def checkpoint():
        if event.is_set():
            raise Stopped

    return quiet(function, checkpoint), event.set


class Scope:
    """cancelscope's method: a call of the scope is a checkpoint."""

    def __init__(self):
        self._cancelled = threading.Event()
        self.cancel = self._cancelled.set

    def __call__(self):
        if self._cancelled.is_set():
            raise Stopped

    def sleep(self, seconds):
        self._cancelled.wait(seconds)
        self()


def of_scope(function):
    scope = Scope()
    return quiet(function, scope), scope.cancel


def of_async_exc(function):
    """The method of func_timeout and thread2."""
    thread = quiet(function, None)

    def stop():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))

    return thread, stop


def of_stopit(function):
    """The method of stopit. Its time limit has a separate timer, which is not measured."""
    thread = quiet(function, None, stopit.TimeoutException)
    return thread, lambda: stopit.async_raise(thread.ident, stopit.TimeoutException)


def quiet(function, checkpoint, stopped=Stopped):
    def run():
        try:
            function(checkpoint)
        except stopped:
            pass

    return threading.Thread(target=run)


def stop(way, function):
    """Milliseconds from the request to the end of join()."""
    began = threading.Event()

    def begun(checkpoint):
        began.set()
        function(checkpoint)

    thread, request = way(begun)
    thread.start()
    began.wait()
    time.sleep(0.02)  # time for the thread to enter its call
    start = time.perf_counter()
    request()
    thread.join()
    return (time.perf_counter() - start) * 1000


def stopping(quick):
    ways = [
        ("a blocked call: bough", of_bough, blocked),
        ("a blocked call: asynchronous exception (func_timeout, thread2)", of_async_exc, blocked),
        ("a blocked call: stopit", of_stopit if stopit else None, blocked),
        ("a blocked call: cancelscope's method", of_scope, blocked),
        ("a blocked call: cancelscope's method, rewritten to its sleep()", of_scope, sleeps),
        ("a blocked call: an Event, rewritten to poll it each 50 ms", of_event, polls),
        ("a loop: bough, asynchronous", asynchronous, computes),
        ("a loop: bough, rewritten to ask by check_interrupt()", of_bough, asks),
        ("a loop: asynchronous exception (func_timeout, thread2)", of_async_exc, computes),
        ("a loop: stopit", of_stopit if stopit else None, computes),
        ("a loop: cancelscope's method, rewritten to ask at a checkpoint", of_scope, asks),
        ("a loop: an Event, rewritten to ask it", of_event, asks),
    ]
    samples = {what: [] for what, way, _ in ways if way}
    for _ in range(5 if quick else 30):
        for what, way, function in ways:
            if way and len(samples[what]) < (5 if way is not of_bough and function is blocked else 30):
                samples[what].append(stop(way, function))
    for what, taken in samples.items():
        yield Row(f"{what}: from the request to joined", "", "ms", statistics.median(taken))


# ---- costs --------------------------------------------------------------------------------------------------------------


def throughput(executor, calls=2000):
    """Microseconds for each call, in batches."""
    with executor(2) as pool:
        wait([pool.submit(os.getpid) for _ in range(100)])
        start = time.perf_counter_ns()
        wait([pool.submit(os.getpid) for _ in range(calls)])
        return (time.perf_counter_ns() - start) / calls / 1000


def of_boughs():
    return throughput(bough.ThreadPoolExecutor)


def of_standard():
    return throughput(ThreadPoolExecutor)


def fail_after():
    with bough.fail_after(1000):
        pass


def rows(quick):
    rounds = 10 if quick else 60
    pairs = pairs_of_processes("stopping", "of_boughs", "of_standard", rounds)
    yield row_of_pairs("bough.ThreadPoolExecutor, submit to done", "ThreadPoolExecutor", "us", pairs, at_most=1 / 0.95)
    with without_gc(), state(OPTED_IN):
        yield Row("an empty fail_after()", "", "us", alone(fail_after, 500, rounds), value_at_most=3)
    yield from stopping(quick)
