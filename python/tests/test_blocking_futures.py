# SPDX-License-Identifier: MIT
"""concurrent.futures, asyncio and logging."""
import asyncio
import concurrent.futures
import logging
import logging.handlers
import multiprocessing
import os
import queue
import socket
import threading
import unittest
from contextlib import contextmanager, suppress

import blocking
import talking
from blocking import Call
from channels import fifo, full_pipe, full_socket, pair, path

stays = ("anon_inode:*event*",)
cases = blocking.Cases(__name__)
case = cases.case
fork = multiprocessing.get_context("fork")


# ---- futures ----------------------------------------------------------------------------------------------------------------


def waiting(call, what, function, result=None):
    @case(call, what)
    def _():
        future = concurrent.futures.Future()
        yield Call(lambda: function(future), lambda: future.set_result("x"), result)


waiting("concurrent.futures.Future.result()", "it runs", lambda f: f.result(), "x")
waiting("concurrent.futures.Future.result()", "it runs, with a timeout", lambda f: f.result(3600), "x")
waiting("concurrent.futures.Future.exception()", "it runs", lambda f: f.exception())
waiting("concurrent.futures.wait()", "one runs", lambda f: len(concurrent.futures.wait([f]).done), 1)
waiting("concurrent.futures.wait()", "one runs, with a timeout", lambda f: len(concurrent.futures.wait([f], 3600).done), 1)
waiting(
    "concurrent.futures.as_completed()", "one runs", lambda f: [d.result() for d in concurrent.futures.as_completed([f])], ["x"]
)
waiting(
    "concurrent.futures.as_completed()",
    "one runs, with a timeout",
    lambda f: [d.result() for d in concurrent.futures.as_completed([f], 3600)],
    ["x"],
)


@contextmanager
def thread_pool():
    """Yields a pool, the event that its function waits for, and a function that lets it continue."""
    event = threading.Event()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        yield pool, event.wait, event.set
    finally:
        event.set()
        pool.shutdown()


@case("concurrent.futures.ThreadPoolExecutor.submit().result()", "it runs")
def _():
    with thread_pool() as (pool, wait, release):
        future = pool.submit(wait)
        yield Call(lambda: future.result(), release, True)


@case("concurrent.futures.ThreadPoolExecutor.map()", "one runs")
def _():
    """items that have not begun are cancelled"""
    with thread_pool() as (pool, wait, release):
        yield Call(lambda: list(pool.map(lambda _: wait(), [1])), release, [True])


@case("concurrent.futures.ThreadPoolExecutor.shutdown()", "one runs")
def _():
    with thread_pool() as (pool, wait, release):
        pool.submit(wait)
        yield Call(lambda: pool.shutdown(), release)


@case("concurrent.futures.ThreadPoolExecutor.__exit__()", "one runs")
def _():
    with thread_pool() as (pool, wait, release):
        pool.submit(wait)

        def call():
            with pool:
                pass

        yield Call(call, release)


@contextmanager
def process_pool():
    """Yields a pool of processes, and the descriptor that its function reads."""
    r, w = os.pipe()
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=fork)
    try:
        yield pool, r, lambda: os.write(w, b"x")
    finally:
        os.write(w, b"xxxxxxxx")
        pool.shutdown()
        os.close(r)
        os.close(w)


def read_one(fd):
    return os.read(fd, 1)


@case("concurrent.futures.ProcessPoolExecutor.submit().result()", "it runs")
def _():
    with process_pool() as (pool, fd, release):
        future = pool.submit(read_one, fd)
        yield Call(lambda: future.result(), release, b"x")


@case("concurrent.futures.ProcessPoolExecutor.map()", "one runs")
def _():
    with process_pool() as (pool, fd, release):
        yield Call(lambda: list(pool.map(read_one, [fd])), release, [b"x"], again=False, state="the task goes on")


@case("concurrent.futures.ProcessPoolExecutor.shutdown()", "one runs")
def _():
    with process_pool() as (pool, fd, release):
        pool.submit(read_one, fd)
        yield Call(lambda: pool.shutdown(), release)


@case("concurrent.futures.ProcessPoolExecutor.__exit__()", "one runs")
def _():
    with process_pool() as (pool, fd, release):
        pool.submit(read_one, fd)

        def call():
            with pool:
                pass

        yield Call(call, release)


# ---- asyncio ------------------------------------------------------------------------------------------------------------------


@case("asyncio.run()", "a sleep")
def _(seconds):
    yield Call(lambda: asyncio.run(asyncio.sleep(seconds, "x")), lambda: None, "x")


@case("asyncio.Runner.run()", "a sleep")
def _(seconds):
    def call():
        with asyncio.Runner() as runner:
            return runner.run(asyncio.sleep(seconds, "x"))

    yield Call(call, lambda: None, "x")


@case("asyncio.run()", "a socket")
def _():
    with pair() as (a, b):

        async def main():
            a.setblocking(False)
            return await asyncio.get_running_loop().sock_recv(a, 10)

        yield Call(lambda: asyncio.run(main()), lambda: b.send(b"hello"), b"hello")


@case("asyncio.run()", "asyncio.to_thread()")
def _():
    """the interrupt ends the call in the other thread as well"""
    with pair() as (a, b):

        async def main():
            return await asyncio.to_thread(a.recv, 10)

        yield Call(lambda: asyncio.run(main()), lambda: b.send(b"hello"), b"hello")


@case("asyncio.run()", "a process")
def _():
    with fifo() as (name, write):

        async def main():
            process = await asyncio.create_subprocess_exec("cat", name, stdout=-1)
            try:
                return (await process.communicate())[0]
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise

        yield Call(lambda: asyncio.run(main()), write, b"hello")


@case("asyncio.run()", "a server")
def _():
    loops = []

    async def main():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        loops.append((asyncio.get_running_loop(), server))
        async with server:
            with suppress(asyncio.CancelledError):
                await server.serve_forever()
        return "x"

    def release():
        loop, server = loops[-1]
        loop.call_soon_threadsafe(server.close)

    yield Call(lambda: asyncio.run(main()), release, again=False, state="closed")


@contextmanager
def loop_of():
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


@case("asyncio.loop.run_forever()", "the time")
def _():
    with loop_of() as loop:
        yield Call(loop.run_forever, lambda: loop.call_soon_threadsafe(loop.stop))


@case("asyncio.loop.run_until_complete()", "a future")
def _():
    with loop_of() as loop:
        future = loop.create_future()
        yield Call(
            lambda: loop.run_until_complete(future), lambda: loop.call_soon_threadsafe(future.set_result, "x"), "x"
        )


@case("asyncio.run_coroutine_threadsafe().result()", "it runs")
def _():
    with loop_of() as loop:
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        event = asyncio.Event()
        future = asyncio.run_coroutine_threadsafe(event.wait(), loop)
        yield Call(lambda: future.result(), lambda: loop.call_soon_threadsafe(event.set), True)
        loop.call_soon_threadsafe(event.set)
        future.result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


# ---- logging --------------------------------------------------------------------------------------------------------------------


@contextmanager
def held_handler(handler):
    handler.acquire()
    given = []

    def release():
        if not given:
            given.append(1)
            handler.release()

    yield release
    release()
    handler.close()


@case("logging.Handler.acquire()", "it is held")
def _():
    handler = logging.Handler()
    with held_handler(handler) as release:
        yield Call(lambda: (handler.acquire(), handler.release())[1], release)


@contextmanager
def logger_of(handler):
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)


@case("logging.Logger.info()", "a handler's lock")
def _():
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: None
    with held_handler(handler) as release, logger_of(handler) as logger:
        yield Call(lambda: logger.info("x"), release)


@case("logging.StreamHandler.emit()", "a full pipe")
def _():
    with full_pipe() as (w, release), open(w, "w", buffering=1, closefd=False) as file:
        with logger_of(logging.StreamHandler(file)) as logger:
            yield Call(lambda: logger.info("x"), release)


@case("logging.SocketHandler.emit()", "a full socket")
def _():
    """its record is lost"""
    with full_socket() as (a, release):
        handler = logging.handlers.SocketHandler("", 0)
        handler.sock = a
        with logger_of(handler) as logger:
            yield Call(lambda: logger.info("x"), release)
        handler.sock = None
        handler.close()


@contextmanager
def full_log():
    """Yields the name of a socket that takes no more datagrams, and a function that reads all that have come."""
    with path() as name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
            sender.setblocking(False)
            for count in range(1 << 20):
                sender.sendto(b".", name)
        yield name, lambda: [log.recv(1) for _ in range(count)]


@case("logging.handlers.SysLogHandler.emit()", "a full socket")
def _():
    """its record is lost"""
    with full_log() as (name, release):
        handler = logging.handlers.SysLogHandler(name)
        with logger_of(handler) as logger:
            yield Call(lambda: logger.info("x"), release)
        handler.close()


@case("logging.handlers.HTTPHandler.emit()", "a silent server")
def _():
    """its record is lost"""
    with talking.serving(talking.answer(b"", b"HTTP/1.0 200 OK\r\n\r\n")) as (port, release):
        handler = logging.handlers.HTTPHandler(f"127.0.0.1:{port}", "/")
        with logger_of(handler) as logger:
            yield Call(lambda: logger.info("x"), release)
        handler.close()


@case("logging.FileHandler()", "a FIFO")
def _():
    with fifo() as (name, write):

        def call():
            logging.FileHandler(name).close()

        def release():
            with open(name, "rb"):
                pass

        yield Call(call, release)


@case("logging.handlers.QueueListener.stop()", "its thread")
def _():
    begun, end = threading.Event(), threading.Event()
    handler = logging.Handler()
    handler.emit = lambda record: (begun.set(), end.wait())
    records = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, handler)
    listener.start()
    thread = listener._thread
    records.put(logging.makeLogRecord({"msg": "x"}))
    begun.wait()
    yield Call(listener.stop, end.set, again=False, state="its thread goes on, and ends")
    end.set()
    thread.join()
    handler.close()


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
