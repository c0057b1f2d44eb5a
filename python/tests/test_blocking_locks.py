# SPDX-License-Identifier: MIT
"""Locks, and what threading, queue and the import system build on them: waits end, and what they wait for stays whole."""
import _imp
import functools
import importlib
import importlib.machinery
import importlib.util
import queue
import sys
import threading
import unittest
from contextlib import contextmanager

import bough
import blocking
from blocking import Call

cases = blocking.Cases(__name__)
case = cases.case


# ---- locks -------------------------------------------------------------------------------------------------------------------


@contextmanager
def held(lock):
    """By another thread than the worker's: this one. Given back at the end, if it was not before."""
    lock.acquire()
    given = []

    def release():
        given.append(True)
        lock.release()

    try:
        yield release
    finally:
        if not given:
            lock.release()


def get(lock, *args, **kwargs):
    got = lock.acquire(*args, **kwargs)
    if got:
        lock.release()
    return got


def enter(lock):
    with lock:
        return lock.locked() if hasattr(lock, "locked") else True


@case("threading.Lock.acquire()", "it is held")
def _():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: get(mine), release, True)


@case("threading.Lock.acquire()", "it is held, with a timeout")
def _():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: get(mine, timeout=3600), release, True)


@case("threading.Lock.acquire()", "it is held, a timeout by position")
def _():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: get(mine, True, 3600), release, True)


@case("threading.Lock.__enter__()", "it is held")
def _():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: enter(mine), release, True)


@case("threading.Lock.acquire_lock()", "it is held")
def _():
    mine = threading.Lock()

    def call():
        mine.acquire_lock()
        mine.release_lock()

    with held(mine) as release:
        yield Call(call, release)


@case("threading.RLock.acquire()", "it is held")
def _():
    mine = threading.RLock()
    with held(mine) as release:
        yield Call(lambda: get(mine), release, True)


@case("threading.RLock.acquire()", "it is held, with a timeout")
def _():
    mine = threading.RLock()
    with held(mine) as release:
        yield Call(lambda: get(mine, timeout=3600), release, True)


@case("threading.RLock.__enter__()", "it is held")
def _():
    mine = threading.RLock()
    with held(mine) as release:
        yield Call(lambda: enter(mine), release, True)


# ---- threading ------------------------------------------------------------------------------------------------------------------


def notify(condition):
    with condition:
        condition.notify()


@case("threading.Condition.wait()", "no notification")
def _():
    condition = threading.Condition()

    def call():
        with condition:
            return condition.wait()

    yield Call(call, lambda: notify(condition), True)


@case("threading.Condition.wait()", "no notification, with a timeout")
def _():
    condition = threading.Condition(threading.Lock())

    def call():
        with condition:
            return condition.wait(3600)

    yield Call(call, lambda: notify(condition), True)


@case("threading.Condition.wait_for()", "no notification")
def _():
    condition, so = threading.Condition(), []

    def call():
        with condition:
            return condition.wait_for(lambda: so)

    def release():
        so.append(1)
        notify(condition)

    yield Call(call, release, [1])


@case("threading.Event.wait()", "it is not set")
def _():
    event = threading.Event()
    yield Call(lambda: event.wait(), event.set, True)


@case("threading.Event.wait()", "it is not set, with a timeout")
def _():
    event = threading.Event()
    yield Call(lambda: event.wait(3600), event.set, True)


@case("threading.Semaphore.acquire()", "the counter is 0")
def _():
    mine = threading.Semaphore(0)
    yield Call(lambda: mine.acquire(), mine.release, True)


@case("threading.BoundedSemaphore.acquire()", "the counter is 0, with a timeout")
def _():
    mine = threading.BoundedSemaphore(1)
    with held(mine) as release:
        yield Call(lambda: get(mine, timeout=3600), release, True)


@case("threading.Barrier.wait()", "other parties")
def _():
    """it is broken for the others, as by any that leaves it; after a reset it serves again"""
    mine = threading.Barrier(2)

    def call():
        try:
            mine.wait()
        except BaseException:
            mine.reset()
            raise

    yield Call(call, lambda: mine.wait())


@contextmanager
def waiting_thread(kind):
    """Runs until it is told."""
    end = threading.Event()
    thread = kind(target=end.wait)
    thread.start()
    try:
        yield thread, end.set
    finally:
        end.set()
        thread.join()


@case("threading.Thread.join()", "the thread runs")
def _():
    with waiting_thread(threading.Thread) as (thread, release):

        def call():
            thread.join()
            return thread.is_alive()

        yield Call(call, release, False)


@case("threading.Thread.join()", "the thread runs, with a timeout")
def _():
    with waiting_thread(threading.Thread) as (thread, release):

        def call():
            thread.join(3600)
            return thread.is_alive()

        yield Call(call, release, False)


@case("bough.Thread.join()", "the thread runs")
def _():
    with waiting_thread(bough.Thread) as (thread, release):

        def call():
            thread.join()
            return thread.is_alive()

        yield Call(call, release, False)


@case("threading.Thread.join()", "a thread that began before the opt-in")
def _():
    """that began before anything was opted in"""
    bough.opt_out()
    with waiting_thread(threading.Thread) as (thread, release):
        bough.opt_in()

        def call():
            thread.join()
            return thread.is_alive()

        yield Call(call, release, False)


@case("threading.Thread.join()", "the thread runs; bound before the opt-in")
def _():
    bough.opt_out()
    with waiting_thread(threading.Thread) as (thread, release):
        join = thread.join
        bough.opt_in()
        yield Call(lambda: (join(), thread.is_alive())[1], release, False)


@case("threading.Timer.join()", "the timer runs")
def _():
    timer = threading.Timer(3600, lambda: None)
    timer.start()
    yield Call(lambda: (timer.join(), timer.is_alive())[1], timer.cancel, False)
    timer.cancel()
    timer.join()


@case("threading._PyRLock.acquire()", "it is held")
def _():
    mine = threading._PyRLock()
    with held(mine) as release:
        yield Call(lambda: get(mine), release, True)


@case("threading.Condition.acquire()", "it is held")
def _():
    mine = threading.Condition()
    with held(mine) as release:
        yield Call(lambda: get(mine), release, True)


@case("threading.Condition.wait_for()", "no notification, with a timeout")
def _():
    condition, so = threading.Condition(), []

    def call():
        with condition:
            return condition.wait_for(lambda: so, 3600)

    yield Call(call, lambda: (so.append(1), notify(condition)), [1])


@case("threading.Semaphore.acquire()", "the counter is 0, with a timeout")
def _():
    mine = threading.Semaphore(0)
    yield Call(lambda: mine.acquire(timeout=3600), mine.release, True)


@case("threading.Semaphore.__enter__()", "the counter is 0")
def _():
    mine = threading.Semaphore(0)
    yield Call(lambda: enter(mine), mine.release, True)


@case("threading.Barrier.wait()", "other parties, with a timeout")
def _():
    mine = threading.Barrier(2)

    def call():
        try:
            mine.wait(3600)
        except BaseException:
            mine.reset()
            raise

    yield Call(call, lambda: mine.wait())


# ---- queue ------------------------------------------------------------------------------------------------------------------------


@case("queue.Queue.get()", "it is empty")
def _():
    mine = queue.Queue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue.PriorityQueue.get()", "it is empty, with a timeout")
def _():
    mine = queue.PriorityQueue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case("queue.Queue.put()", "it is full")
def _():
    mine = queue.Queue(1)
    mine.put(1)
    yield Call(lambda: mine.put(2), lambda: mine.get())


@case("queue.Queue.join()", "unfinished tasks")
def _():
    mine = queue.Queue()
    mine.put(1)
    yield Call(lambda: mine.join(), lambda: mine.task_done())


@case("queue.SimpleQueue.get()", "it is empty")
def _():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue.SimpleQueue.get()", "it is empty, with a timeout")
def _():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case("queue.SimpleQueue.get()", "it is empty, a timeout by position")
def _():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(True, None), lambda: mine.put("x"), "x")


@case("queue.Queue.get()", "it is empty, with a timeout")
def _():
    mine = queue.Queue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case("queue.Queue.put()", "it is full, with a timeout")
def _():
    mine = queue.Queue(1)
    mine.put(1)
    yield Call(lambda: mine.put(2, timeout=3600), lambda: mine.get())


@case("queue.LifoQueue.get()", "it is empty")
def _():
    mine = queue.LifoQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue._PySimpleQueue.get()", "it is empty")
def _():
    mine = queue._PySimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue.SimpleQueue.get()", "it is empty; of a second _queue module")
def _():
    first = sys.modules.pop("_queue")
    second = importlib.import_module("_queue")
    sys.modules["_queue"] = first
    mine = second.SimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


# ---- what is computed once -----------------------------------------------------------------------------------------------------------


@case("functools.cached_property.__get__()", "another thread computes it")
def _():
    begun, end = threading.Event(), threading.Event()

    class Computed:
        @functools.cached_property
        def value(self):
            begun.set()
            end.wait()
            return 1

    computed = Computed()
    other = threading.Thread(target=lambda: computed.value)
    other.start()
    begun.wait()
    yield Call(lambda: computed.value, end.set, 1)
    end.set()
    other.join()


class Slow:
    """A finder and loader of one module, whose code waits."""

    name = "module_whose_code_waits"

    def __init__(self):
        self.begun, self.end = threading.Event(), threading.Event()

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.begun.set()
        self.end.wait()
        module.value = 1


@contextmanager
def slow_module():
    finder = Slow()
    sys.meta_path.insert(0, finder)
    try:
        yield finder, lambda: importlib.import_module(finder.name).value
    finally:
        finder.end.set()
        sys.meta_path.remove(finder)
        sys.modules.pop(finder.name, None)


@case("importlib.import_module()", "the module's own code")
def _():
    with slow_module() as (finder, load):
        yield Call(load, finder.end.set, 1)


@case("importlib.import_module()", "another thread's import of it")
def _():
    with slow_module() as (finder, load):
        other = threading.Thread(target=load)
        other.start()
        finder.begun.wait()
        yield Call(load, finder.end.set, 1)
        finder.end.set()
        other.join()


@case("_imp.acquire_lock()", "another thread's import lock")
def _():
    given = []

    def release():
        if not given:
            given.append(1)
            _imp.release_lock()

    def call():
        _imp.acquire_lock()
        _imp.release_lock()

    _imp.acquire_lock()
    yield Call(call, release)
    release()


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
