# SPDX-License-Identifier: MIT
"""
Deadlines at random moments lose nothing (rules 9, 12, 27): a block around an operation of a queue, a socket, a pipe or
a lock has either done it or not.

BOUGH_LOSS (20000) blocks in each test, about half of which end by their deadline; the other side works at its own random pace.
"""
import hashlib
import os
import queue
import random
import socket
import threading
import time
import unittest

import bough
from bough import fail_after, move_on_after
from tools import LIMIT, switch_often

BLOCKS = int(os.environ.get("BOUGH_LOSS", 20000))
limit = 120 + BLOCKS / 200
BLOCK = bytes(20000)


def setUpModule():
    switch_often(unittest.addModuleCleanup)


def pause():
    """Waits for up to a few limits."""
    for _ in range(random.randrange(4)):
        hashlib.sha256(memoryview(BLOCK)[random.randrange(len(BLOCK)) :])


def moment():
    """A limit about as long as an operation takes, often shorter."""
    return random.random() ** 2 * 4e-4


def joined(test, thread):
    thread.join(LIMIT * 3)
    test.assertFalse(thread.is_alive(), f"{thread} is stuck")


class Loss(unittest.TestCase):
    def enough(self, cut, blocks):
        print(f"# {cut} of {blocks} blocks were ended by their deadline")
        self.assertGreater(cut, 0)

    def items(self, count, get, *others):
        """`get(q)` takes an item out of a queue, or returns None by its deadline. Each item is put while it waits, or nearly so."""
        q, got, cut, asked, go = queue.Queue(), [], 0, 0, threading.Semaphore(0)

        def put():
            for i in range(count):
                go.acquire()
                pause()
                q.put(i)

        threads = [threading.Thread(target=target, daemon=True) for target in (put, *others)]
        for thread in threads:
            thread.start()
        while len(got) < count:
            if asked == len(got):
                go.release()
                asked += 1
            item = get(q)
            if item is None:
                cut += 1
            else:
                got.append(item)
        self.assertEqual(got, list(range(count)))
        self.enough(cut, count + cut)
        return threads

    def test_get(self):
        """of a queue: each item comes once, in its order"""

        def get(q):
            item = None
            with move_on_after(moment()) as scope:
                item = q.get()
            self.assertEqual(scope.cancelled_caught, item is None)
            return item

        for thread in self.items(BLOCKS // 2, get):
            joined(self, thread)

    def test_get_by_a_decorated_function(self):
        """what it has returned is returned"""
        for thread in self.items(BLOCKS // 4, lambda q: move_on_after(moment())(q.get)()):
            joined(self, thread)

    def test_cancel(self):
        """by another thread, at a random moment: nothing is lost, and the next scope is not ended by it"""
        stop = threading.Event()
        scopes = [None]

        def cancel():
            while not stop.is_set():
                scopes[0].cancel()
                time.sleep(1e-4)

        def get(q):
            scope, item = bough.CancelScope(), None
            with scope:
                scopes[0] = scope
                item = q.get()
            bough.check_interrupt()
            return item

        with bough.CancelScope() as scopes[0]:
            pass
        threads = self.items(BLOCKS // 4, get, cancel)
        stop.set()
        for thread in threads:
            joined(self, thread)

    def test_put(self):
        """an item that was put is there, and no other is"""
        q, got, put, cut = queue.Queue(3), [], [], 0

        def get():
            while (item := q.get()) is not None:
                got.append(item)
                pause()

        thread = threading.Thread(target=get, daemon=True)
        thread.start()
        blocks = 0
        while blocks < BLOCKS or not cut:
            with move_on_after(moment()) as scope:
                q.put(blocks)
                put.append(blocks)
            cut += scope.cancelled_caught
            blocks += 1
        q.put(None)
        joined(self, thread)
        self.assertEqual(got, put)
        self.enough(cut, blocks)

    def test_stream(self):
        """of a socket, received and sent: no byte is missing, none comes twice"""
        one, other = socket.socketpair()
        total = BLOCKS * 20
        received = bytearray()

        def send():
            sent = 0
            while sent < total:
                size = min(total - sent, random.randrange(1, 64))
                data = bytes((sent + k) % 251 for k in range(size))
                try:
                    with fail_after(moment()):
                        sent += other.send(data)
                except TimeoutError:
                    pass
                pause()

        with one, other:
            thread = threading.Thread(target=send, daemon=True)
            thread.start()
            cut = blocks = 0
            while len(received) < total:
                blocks += 1
                with move_on_after(moment()) as scope:
                    received += one.recv(100)
                cut += scope.cancelled_caught
            joined(self, thread)
        self.assertEqual(received, bytes(k % 251 for k in range(total)))
        self.enough(cut, blocks)

    def test_accept(self):
        """a connection is accepted once, and no descriptor is lost"""
        least, sent, got, cut, blocks = BLOCKS // 20, 0, [], 0, 0
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()

            def connect():
                nonlocal sent
                while sent < least or not cut:  # on a busy machine a connection may be there whenever one is awaited
                    with socket.create_connection(address) as conn:
                        conn.sendall(sent.to_bytes(4, "big"))
                    sent += 1
                    pause()

            thread = threading.Thread(target=connect, daemon=True)
            thread.start()
            while thread.is_alive() or len(got) < sent:
                blocks += 1
                conn = None
                with move_on_after(moment()) as scope:
                    conn, _ = server.accept()
                cut += scope.cancelled_caught
                if conn is not None:
                    with conn:
                        got.append(int.from_bytes(conn.recv(4), "big"))
            joined(self, thread)
        self.assertEqual(got, list(range(sent)))
        self.enough(cut, blocks)

    def test_lock(self):
        """is held where acquire() has returned, and free otherwise"""
        lock, stop = threading.Lock(), threading.Event()

        def hold():
            while not stop.is_set():
                with lock:
                    pause()
                    pause()

        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        cut = blocks = 0
        while blocks < BLOCKS or not cut:  # both threads may stay in step, so that the lock is free each time
            blocks += 1
            held = False
            with move_on_after(moment()) as scope:
                held = lock.acquire()
            cut += scope.cancelled_caught
            if held:
                lock.release()
        stop.set()
        joined(self, thread)
        self.assertFalse(lock.locked())
        self.enough(cut, blocks)


if __name__ == "__main__":
    unittest.main()
