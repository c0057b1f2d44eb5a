# SPDX-License-Identifier: MIT
"""multiprocessing, with forked processes and without."""
import multiprocessing
import multiprocessing.connection
import multiprocessing.pool
import multiprocessing.resource_tracker
import os
import sys
import unittest
from contextlib import contextmanager

import blocking
from blocking import Call, wait_at, wait_for_of, wait_of
from channels import drain, fill, path

fork = multiprocessing.get_context("fork")
stays = ("anon_inode:*event*", "/dev/shm/pym-*")  # the second: memory of a Value, which multiprocessing keeps
cases = blocking.Cases(__name__)
case = cases.case


def setUpModule():
    """Starts the resource tracker before the tests, because it stays. From 3.14 on a pool of threads starts it."""
    if sys.version_info >= (3, 14):
        multiprocessing.resource_tracker.ensure_running()


# ---- connections and processes ----------------------------------------------------------------------------------------------


@case("multiprocessing.Connection.recv()", "no data")
def _():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.recv(), lambda: b.send("hello"), "hello")


@case("multiprocessing.Connection.poll()", "no data, with a timeout")
def _():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.poll(3600), lambda: b.send("hello"), True)


@case("multiprocessing.connection.wait()", "no connection is ready")
def _():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: multiprocessing.connection.wait([a]) == [a], lambda: b.send("hello"), True)


@contextmanager
def process():
    r, w = os.pipe()
    child = fork.Process(target=os.read, args=(r, 1))
    child.start()
    try:
        yield child, lambda: os.write(w, b"x")
    finally:
        os.write(w, b"x")
        child.join()
        child.close()
        os.close(r)
        os.close(w)


@case("multiprocessing.Process.join()", "the process runs")
def _():
    with process() as (child, release):

        def call():
            child.join()
            return child.exitcode

        yield Call(call, release, 0)


@case("multiprocessing.Process.join()", "the process runs, with a timeout")
def _():
    with process() as (child, release):

        def call():
            child.join(3600)
            return child.exitcode

        yield Call(call, release, 0)


@case("multiprocessing.Lock.__enter__()", "it is held")
def _():
    lock = fork.Lock()
    lock.acquire()

    def call():
        with lock:
            return True

    yield Call(call, lock.release, True)


@case("multiprocessing.Lock.acquire()", "it is held, with a timeout")
def _():
    lock = fork.Lock()
    lock.acquire()

    def call():
        got = lock.acquire(timeout=3600)
        lock.release()
        return got

    yield Call(call, lock.release, True)


@case("multiprocessing.Lock.acquire()", "it is held")
def _():
    lock = fork.Lock()
    lock.acquire()
    yield Call(lambda: (lock.acquire(), lock.release())[0], lock.release, True)


@case("multiprocessing.Semaphore.acquire()", "the counter is 0")
def _():
    semaphore = fork.Semaphore(0)
    yield Call(lambda: semaphore.acquire(), semaphore.release, True)


@case("multiprocessing.SimpleQueue.get()", "it is empty")
def _():
    queue = fork.SimpleQueue()
    yield Call(lambda: queue.get(), lambda: queue.put("hello"), "hello")
    queue.close()


@case("multiprocessing.SimpleQueue.put()", "a full pipe")
def _():
    queue = fork.SimpleQueue()
    count = fill(queue._writer.fileno())
    yield Call(lambda: queue.put("hello"), lambda: drain(queue._reader.fileno(), count))
    queue.close()


@case("multiprocessing.Connection.poll()", "no data")
def _():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.poll(None), lambda: b.send("hello"), True)


@case("multiprocessing.Connection.recv_bytes()", "no data")
def _():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.recv_bytes(), lambda: b.send_bytes(b"hello"), b"hello")


@case("multiprocessing.Connection.recv_bytes_into()", "no data")
def _():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.recv_bytes_into(bytearray(10)), lambda: b.send_bytes(b"hello"), 5)


@case("multiprocessing.Connection.send_bytes()", "a full pipe")
def _():
    a, b = fork.Pipe()
    with a, b:
        count = fill(a.fileno())
        yield Call(lambda: a.send_bytes(b"hello"), lambda: drain(b.fileno(), count))


@case("multiprocessing.Connection.send()", "a full pipe")
def _():
    a, b = fork.Pipe()
    with a, b:
        count = fill(a.fileno())
        yield Call(lambda: a.send("hello"), lambda: drain(b.fileno(), count))


@case("multiprocessing.connection.Listener.accept()", "a silent peer")
def _():
    """waits for the answer to its challenge"""
    with path() as name, multiprocessing.connection.Listener(name, authkey=b"key") as listener:
        with multiprocessing.connection.Client(name) as client:

            def call():
                try:
                    listener.accept()
                except (EOFError, OSError):
                    pass

            yield Call(call, client.close, again=False, state="the connection is closed")


@case("multiprocessing.connection.Listener.accept()", "no connection")
def _():
    with path() as name, multiprocessing.connection.Listener(name) as listener:
        yield Call(lambda: listener.accept().close(), lambda: multiprocessing.connection.Client(name).close())


@case("multiprocessing.connection.Client()", "a silent peer")
def _():
    """waits for the answer to its key"""
    with path() as name, multiprocessing.connection.Listener(name) as listener:

        def call():
            try:
                multiprocessing.connection.Client(name, authkey=b"key")
            except (EOFError, OSError):
                pass

        yield Call(call, lambda: listener.accept().close(), again=False, state="closed")


# ---- locks --------------------------------------------------------------------------------------------------------------------


@case("multiprocessing.RLock.acquire()", "it is held")
def _():
    lock = fork.RLock()
    lock.acquire()
    yield Call(lambda: (lock.acquire(), lock.release())[0], lock.release, True)


@case("multiprocessing.BoundedSemaphore.acquire()", "the counter is 0")
def _():
    semaphore = fork.BoundedSemaphore(1)
    semaphore.acquire()
    yield Call(lambda: semaphore.acquire(), semaphore.release, True)


@case("multiprocessing.Condition.wait()", "no notification")
def _():
    yield wait_of(fork.Condition())


@case("multiprocessing.Condition.wait_for()", "no notification")
def _():
    yield wait_for_of(fork.Condition())


@case("multiprocessing.Event.wait()", "it is not set")
def _():
    event = fork.Event()
    yield Call(lambda: event.wait(), event.set, True)


@case("multiprocessing.Event.wait()", "it is not set, with a timeout")
def _():
    event = fork.Event()
    yield Call(lambda: event.wait(3600), event.set, True)


@case("multiprocessing.Barrier.wait()", "other parties")
def _():
    yield wait_at(fork.Barrier(2))


@case("multiprocessing.Value.value", "its lock")
def _():
    value = fork.Value("i", 3)
    value.get_lock().acquire()
    yield Call(lambda: value.value, value.get_lock().release, 3)


# ---- queues ----------------------------------------------------------------------------------------------------------------------


def closed(queue):
    queue.close()
    queue.join_thread()


@case("multiprocessing.Queue.get()", "it is empty")
def _():
    queue = fork.Queue()
    yield Call(lambda: queue.get(), lambda: queue.put("hello"), "hello")
    closed(queue)


@case("multiprocessing.Queue.get()", "it is empty, with a timeout")
def _():
    queue = fork.Queue()
    yield Call(lambda: queue.get(timeout=3600), lambda: queue.put("hello"), "hello")
    closed(queue)


@case("multiprocessing.Queue.put()", "it is full")
def _():
    queue = fork.Queue(1)
    queue.put(1)
    yield Call(lambda: queue.put(2), lambda: queue.get())
    queue.get()
    closed(queue)


@case("multiprocessing.Queue.join_thread()", "a full pipe")
def _():
    queue = fork.Queue()
    reader = os.dup(queue._reader.fileno())
    left = [200_000]
    queue.put(b"." * 200_000)
    queue.close()

    def release():
        if left:
            drain(reader, left.pop())

    # It is a finalizer, which counts as done when it has begun.
    yield Call(lambda: queue.join_thread(), release, again=False, state="a second join_thread() does not wait")
    release()
    queue._thread.join()
    os.close(reader)


@case("multiprocessing.JoinableQueue.join()", "unfinished tasks")
def _():
    queue = fork.JoinableQueue()
    queue.put(1)
    yield Call(lambda: queue.join(), lambda: (queue.get(), queue.task_done()))
    closed(queue)


# ---- pools ------------------------------------------------------------------------------------------------------------------------


def wait_for_line(fd):
    return os.read(fd, 1)


@contextmanager
def pool_of(kind):
    """Yields a pool, and the descriptor that its function reads."""
    r, w = os.pipe()
    with kind(1) as pool:
        try:
            yield pool, r, lambda: os.write(w, b"xxx")
        finally:
            os.write(w, b"xxxxxxxxxx")
            pool.close()
            pool.join()
    os.close(r)
    os.close(w)


def in_pool(call, what, function, result, kind=fork.Pool):
    @case(call, what)
    def _():
        with pool_of(kind) as (pool, r, release):
            yield Call(lambda: function(pool, r), release, result, again=False, state="the task goes on; the pool is usable")

    return _


in_pool("multiprocessing.Pool.apply()", "it runs", lambda pool, r: pool.apply(wait_for_line, (r,)), b"x")
in_pool("multiprocessing.Pool.map()", "it runs", lambda pool, r: pool.map(wait_for_line, [r]), [b"x"])
in_pool("multiprocessing.Pool.imap()", "it runs", lambda pool, r: next(pool.imap(wait_for_line, [r])), b"x")
in_pool("multiprocessing.Pool.imap_unordered()", "it runs", lambda pool, r: next(pool.imap_unordered(wait_for_line, [r])), b"x")
in_pool("multiprocessing.Pool.starmap()", "it runs", lambda pool, r: pool.starmap(wait_for_line, [(r,)]), [b"x"])
in_pool(
    "multiprocessing.pool.AsyncResult.get()", "it runs", lambda pool, r: pool.apply_async(wait_for_line, (r,)).get(), b"x"
)
in_pool(
    "multiprocessing.pool.AsyncResult.wait()",
    "it runs, with a timeout",
    lambda pool, r: pool.apply_async(wait_for_line, (r,)).wait(3600),
    None,
)
THREADS = multiprocessing.pool.ThreadPool
in_pool("multiprocessing.pool.ThreadPool.apply()", "it runs", lambda p, r: p.apply(wait_for_line, (r,)), b"x", THREADS)
in_pool("multiprocessing.pool.ThreadPool.map()", "it runs", lambda p, r: p.map(wait_for_line, [r]), [b"x"], THREADS)


@case("multiprocessing.Pool.join()", "its workers")
def _():
    with pool_of(fork.Pool) as (pool, r, release):
        pool.apply_async(wait_for_line, (r,))
        pool.close()
        yield Call(lambda: pool.join(), release)


# ---- managers ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def managed(name, *args):
    with fork.Manager() as manager:
        yield getattr(manager, name)(*args)


DROPPED = "the connection to the manager has to be given up"


@case("multiprocessing.Manager().Queue().get()", "it is empty")
def _():
    with managed("Queue") as queue:
        yield Call(lambda: queue.get(), lambda: queue.put("x"), "x", again=False, state=DROPPED)


@case("multiprocessing.Manager().Lock().acquire()", "it is held")
def _():
    with managed("Lock") as lock:
        lock.acquire()
        yield Call(lambda: lock.acquire(), lock.release, True, again=False, state=DROPPED)


@case("multiprocessing.Manager().Event().wait()", "it is not set")
def _():
    with managed("Event") as event:
        yield Call(lambda: event.wait(), event.set, True, again=False, state=DROPPED)


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
