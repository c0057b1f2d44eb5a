# SPDX-License-Identifier: MIT
"""Locks, and what threading, queue, concurrent.futures and logging build on them: waits end, and what they wait for stays
whole."""
import concurrent.futures
import logging
import queue
import threading
import unittest
from contextlib import contextmanager

import bough
import blocking
from blocking import Call

cases = []


def case(make):
    cases.append(make)
    return make


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


@case
def lock():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: get(mine), release, True)


@case
def lock_with_a_timeout():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: get(mine, timeout=3600), release, True)


@case
def lock_by_position():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: get(mine, True, 3600), release, True)


@case
def with_lock():
    mine = threading.Lock()
    with held(mine) as release:
        yield Call(lambda: enter(mine), release, True)


@case
def acquire_lock():
    mine = threading.Lock()

    def call():
        mine.acquire_lock()
        mine.release_lock()

    with held(mine) as release:
        yield Call(call, release)


@case
def rlock():
    mine = threading.RLock()
    with held(mine) as release:
        yield Call(lambda: get(mine), release, True)


@case
def rlock_with_a_timeout():
    mine = threading.RLock()
    with held(mine) as release:
        yield Call(lambda: get(mine, timeout=3600), release, True)


@case
def with_rlock():
    mine = threading.RLock()
    with held(mine) as release:
        yield Call(lambda: enter(mine), release, True)


# ---- threading ------------------------------------------------------------------------------------------------------------------


def notify(condition):
    with condition:
        condition.notify()


@case
def condition_wait():
    condition = threading.Condition()

    def call():
        with condition:
            return condition.wait()

    yield Call(call, lambda: notify(condition), True)


@case
def condition_wait_with_a_timeout():
    condition = threading.Condition(threading.Lock())

    def call():
        with condition:
            return condition.wait(3600)

    yield Call(call, lambda: notify(condition), True)


@case
def condition_wait_for():
    condition, so = threading.Condition(), []

    def call():
        with condition:
            return condition.wait_for(lambda: so)

    def release():
        so.append(1)
        notify(condition)

    yield Call(call, release, [1])


@case
def event_wait():
    event = threading.Event()
    yield Call(lambda: event.wait(), event.set, True)


@case
def event_wait_with_a_timeout():
    event = threading.Event()
    yield Call(lambda: event.wait(3600), event.set, True)


@case
def semaphore():
    mine = threading.Semaphore(0)
    yield Call(lambda: mine.acquire(), mine.release, True)


@case
def semaphore_with_a_timeout():
    mine = threading.BoundedSemaphore(1)
    with held(mine) as release:
        yield Call(lambda: get(mine, timeout=3600), release, True)


@case
def barrier():
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


@case
def join():
    with waiting_thread(threading.Thread) as (thread, release):

        def call():
            thread.join()
            return thread.is_alive()

        yield Call(call, release, False)


@case
def join_with_a_timeout():
    with waiting_thread(threading.Thread) as (thread, release):

        def call():
            thread.join(3600)
            return thread.is_alive()

        yield Call(call, release, False)


@case
def join_of_ours():
    with waiting_thread(bough.Thread) as (thread, release):

        def call():
            thread.join()
            return thread.is_alive()

        yield Call(call, release, False)


@case
def join_of_an_earlier_one():
    """that began before anything was opted in"""
    bough.opt_out()
    with waiting_thread(threading.Thread) as (thread, release):
        bough.opt_in()

        def call():
            thread.join()
            return thread.is_alive()

        yield Call(call, release, False)


# ---- queue ------------------------------------------------------------------------------------------------------------------------


@case
def queue_get():
    mine = queue.Queue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case
def queue_get_with_a_timeout():
    mine = queue.PriorityQueue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case
def queue_put():
    mine = queue.Queue(1)
    mine.put(1)
    yield Call(lambda: mine.put(2), lambda: mine.get())


@case
def queue_join():
    mine = queue.Queue()
    mine.put(1)
    yield Call(lambda: mine.join(), lambda: mine.task_done())


@case
def simple_queue_get():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case
def simple_queue_get_with_a_timeout():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case
def simple_queue_get_by_position():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(True, None), lambda: mine.put("x"), "x")


# ---- what is built on them -----------------------------------------------------------------------------------------------------------


@case
def future_result():
    future = concurrent.futures.Future()
    yield Call(lambda: future.result(), lambda: future.set_result("x"), "x")


@case
def future_result_with_a_timeout():
    future = concurrent.futures.Future()
    yield Call(lambda: future.result(3600), lambda: future.set_result("x"), "x")


@case
def future_exception():
    future = concurrent.futures.Future()
    yield Call(lambda: future.exception(), lambda: future.set_result("x"))


@case
def futures_wait():
    future = concurrent.futures.Future()
    yield Call(lambda: len(concurrent.futures.wait([future]).done), lambda: future.set_result("x"), 1)


@case
def as_completed():
    future = concurrent.futures.Future()
    yield Call(
        lambda: [f.result() for f in concurrent.futures.as_completed([future])], lambda: future.set_result("x"), ["x"]
    )


@case
def executor_map():
    """a cut leaves the with statement, which waits for its workers: the function has its result by then"""
    event = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(event.wait)
        try:
            yield Call(lambda: future.result(), event.set, True)
        finally:
            event.set()


@case
def logging_handler():
    handler = logging.Handler()

    def call():
        handler.acquire()
        handler.release()

    with held(handler.lock) as release:
        yield Call(call, release)
    handler.close()


Blocking = blocking.generate(__name__, cases)

if __name__ == "__main__":
    unittest.main()
