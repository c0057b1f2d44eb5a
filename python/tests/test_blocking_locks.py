# SPDX-License-Identifier: MIT
"""Locks, and the classes that threading builds on them: waits end, and the objects stay consistent."""
import threading
import unittest
from contextlib import contextmanager

import bough
import blocking
from blocking import Call, join_of, wait_at, wait_for_of, wait_of

cases = blocking.Cases(__name__)
case = cases.case


# ---- locks -------------------------------------------------------------------------------------------------------------------


@contextmanager
def held(lock):
    """This thread, not the worker, holds the lock, and releases it at the end, unless the test has released it."""
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


@case("threading.Condition.wait()", "no notification")
def _():
    yield wait_of(threading.Condition())


@case("threading.Condition.wait()", "no notification, with a timeout")
def _():
    yield wait_of(threading.Condition(threading.Lock()), 3600)


@case("threading.Condition.wait_for()", "no notification")
def _():
    yield wait_for_of(threading.Condition())


class GivesNotification:
    """A condition's lock that is not released when wait() gives it up. wait() is notified then, and can't take it
    back."""

    def __init__(self):
        lock = threading.Lock()
        self.acquire, self.release, self.locked = lock.acquire, lock.release, lock.locked
        self.__enter__, self.__exit__ = lock.__enter__, lock.__exit__
        self.condition = threading.Condition(self)

    def _release_save(self):
        self.condition.notify()


@case("threading.Condition.wait()", "its lock, after the notification")
def _():
    """wait() returns with its lock, which the caller releases"""
    lock = GivesNotification()

    def call():
        lock.acquire()
        try:
            return lock.condition.wait()
        finally:
            lock.release()

    yield Call(call, lock.release, True)


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
    """the barrier is broken for the others, as if any thread had left it; after a reset it works again"""
    yield wait_at(threading.Barrier(2))


@contextmanager
def waiting_thread(kind):
    """Runs until the test ends it."""
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
        yield join_of(thread, release)


@case("threading.Thread.join()", "the thread runs, with a timeout")
def _():
    with waiting_thread(threading.Thread) as (thread, release):
        yield join_of(thread, release, 3600)


@case("bough.Thread.join()", "the thread runs")
def _():
    with waiting_thread(bough.Thread) as (thread, release):
        yield join_of(thread, release)


@case("threading.Thread.join()", "a thread that began before the opt-in")
def _():
    """the thread began before the opt-in"""
    bough.opt_out()
    with waiting_thread(threading.Thread) as (thread, release):
        bough.opt_in()
        yield join_of(thread, release)


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
    yield wait_for_of(threading.Condition(), 3600)


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
    yield wait_at(threading.Barrier(2), 3600)


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
