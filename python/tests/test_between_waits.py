# SPDX-License-Identifier: MIT
"""An interrupt that comes while a thread runs the standard library's code, between two waits: it ends the next wait,
and the library keeps no lock. Each test posts it at the first line of a call that blocks, in another run at the second,
and so on.

The grace period is an hour, so that an interrupt that was lost does not come again.
"""
import concurrent.futures
import contextlib
import multiprocessing
import queue
import sched
import selectors
import socket
import socketserver
import subprocess
import sys
import threading
import types
import unittest

import bough
from bough import _bough
from tools import LIMIT, is_blocked, until

BOUGH = bough.__file__.rpartition("/")[0]
MOST = 60  # lines


class Posting:
    """A trace function that calls post() at the line with this number, and then traces nothing more."""

    def __init__(self, number, post):
        self.left, self.post = number, post

    def at_call(self, frame, what, arg):
        return None if frame.f_code.co_filename.startswith(BOUGH) else self.at_line

    def at_line(self, frame, what, arg):
        self.left -= what == "line"
        if self.left == 0:
            sys.settrace(None)
            self.post()
        return self.at_line if self.left > 0 else None


def posted_at(number, call):
    """Runs call() in a child that posts the interrupt at this line. Returns the outcome, and whether the line came
    before the wait."""

    def run():
        _bough.set_grace(3600)
        thread.native_id = threading.get_native_id()
        sys.settrace(posting.at_call)
        try:
            call()
        finally:
            sys.settrace(None)

    def own():
        nonlocal branch, child
        with bough.branch() as branch:
            child = branch.add(run)

    branch = child = None
    thread = types.SimpleNamespace(native_id=None)
    posting = Posting(number, lambda: branch.interrupt("enough"))
    owner = threading.Thread(target=own)
    owner.start()
    until(lambda: child is not None and thread.native_id is not None, "the child's start")
    until(lambda: child.outcome != "running" or posting.left <= 0 or is_blocked(thread), "a wait, or the line")
    so_far = posting.left <= 0
    if not so_far:
        branch.interrupt("enough")
    owner.join(LIMIT)
    if owner.is_alive():
        raise AssertionError(f"the interrupt at line {number} of the call is lost")
    return child.outcome, so_far


def is_free(lock):
    """Whether this thread, which does not hold the lock, can take it."""
    free = lock.acquire(timeout=LIMIT)
    if free:
        lock.release()
    return free


class Between(unittest.TestCase):
    stays = ("anon_inode:*event*",)

    def everywhere(self, make):
        """Posts at each line, until one comes after the wait. make() is a context of the call and of the locks that it
        uses."""
        for number in range(1, MOST):
            with self.subTest(line=number), contextlib.contextmanager(make)() as (call, *locks):
                outcome, so_far = posted_at(number, call)
                self.assertEqual((outcome, [is_free(lock) for lock in locks]), ("interrupted", [True] * len(locks)))
            if not so_far:
                break
        self.assertGreater(number, 1)

    def test_queue(self):
        """queue.Queue.get(), put() and join()"""

        def get():
            q = queue.Queue()
            yield lambda: q.get(timeout=3600), q.mutex

        def put():
            q = queue.Queue(1)
            q.put(1)
            yield lambda: q.put(2), q.mutex

        def join():
            q = queue.Queue()
            q.put(1)
            yield q.join, q.mutex

        for make in get, put, join:
            self.everywhere(make)

    def test_threading(self):
        """Condition.wait_for(), Event.wait(), Semaphore, Barrier"""

        def condition():
            c = threading.Condition()

            def call():
                with c:
                    c.wait_for(lambda: False)

            yield call, c

        def event():
            e = threading.Event()
            yield lambda: e.wait(3600), e._cond

        def semaphore():
            s = threading.Semaphore(0)
            yield s.acquire, s._cond

        def barrier():
            b = threading.Barrier(2)
            yield b.wait, b._cond

        for make in condition, event, semaphore, barrier:
            self.everywhere(make)

    def test_join(self):
        def make():
            end = threading.Event()
            thread = threading.Thread(target=end.wait)
            thread.start()
            yield (thread.join,)
            end.set()
            thread.join()

        self.everywhere(make)

    def test_futures(self):
        """result(), wait(), as_completed()"""
        for function in (
            lambda futures: futures[0].result(),
            concurrent.futures.wait,
            lambda futures: list(concurrent.futures.as_completed(futures)),
        ):

            def make(function=function):
                futures = [concurrent.futures.Future() for _ in range(2)]
                yield lambda: function(futures), *(future._condition for future in futures)

            self.everywhere(make)

    def test_sockets(self):
        """a loop of waits with a timeout; a server"""

        def selected():
            with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
                ends = [stack.enter_context(end) for end in socket.socketpair()]
                selector.register(ends[0], selectors.EVENT_READ)
                yield (lambda: selector.select(3600),)

        def served():
            with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
                yield (lambda: server.serve_forever(3600),)
                self.assertTrue(server._BaseServer__is_shut_down.is_set())

        for make in selected, served:
            self.everywhere(make)

    def test_processes(self):
        """communicate(); a queue of multiprocessing"""

        def communicate():
            process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            keeps, process.stdin = process.stdin, None
            yield process.communicate, process._waitpid_lock
            keeps.close()
            process.communicate()

        def get():
            q = multiprocessing.SimpleQueue()
            yield q.get, q._rlock
            q.close()

        for make in communicate, get:
            self.everywhere(make)

    def test_scheduler(self):
        def make():
            scheduler = sched.scheduler()
            scheduler.enter(3600, 1, print)
            yield scheduler.run, scheduler._lock

        self.everywhere(make)


if __name__ == "__main__":
    unittest.main()
