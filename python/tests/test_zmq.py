# SPDX-License-Identifier: MIT
"""pyzmq: libzmq aborts the process if a wait fails with an unknown error, so an interrupt must not cause one."""
import concurrent.futures
import threading
import time
import unittest

import blocking
import bough

try:
    import zmq
except ImportError:
    zmq = None

stays = ("anon_inode:*event*",)


@unittest.skipIf(zmq is None, "no package zmq for this interpreter")
class Zmq(unittest.TestCase):
    def setUp(self):
        self.context = zmq.Context()
        self.began, self.error = threading.Event(), None
        bough.opt_in(pools=True)

    def tearDown(self):
        self.context.term()

    def socket(self, kind):
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.bind_to_random_port("tcp://127.0.0.1")
        return socket

    def blocks(self, kind, call):
        """Runs call(socket), which never ends by itself, in a child. Keeps its exception. The socket can be closed
        afterwards."""
        with self.socket(kind) as socket:
            self.thread = threading.get_native_id()
            self.began.set()
            try:
                call(socket)
            except BaseException as error:
                self.error = error.with_traceback(None)
                raise

    def recv(self):
        self.blocks(zmq.PULL, lambda socket: socket.recv())

    def poll(self):
        self.blocks(zmq.PULL, lambda socket: socket.poll())

    def poller(self):
        def call(socket):
            poller = zmq.Poller()
            poller.register(socket, zmq.POLLIN)
            poller.poll()

        self.blocks(zmq.PULL, call)

    def send(self):
        self.blocks(zmq.PUSH, lambda socket: socket.send(b"x"))

    def until_blocked(self):
        self.began.wait()
        end, asleep = time.monotonic() + blocking.ENOUGH, 0
        while asleep < 4:
            asleep = asleep + 1 if blocking.switches(self.thread) else 0
            self.assertLess(time.monotonic(), end)
            time.sleep(0.006)

    def in_thread(self, function):
        thread = bough.Thread(target=function)
        thread.enable_io_interrupt = True
        thread.start()
        self.until_blocked()
        thread.interrupt("enough")
        thread.join(blocking.ENOUGH)
        self.assertFalse(thread.is_alive())

    def in_pool(self, function):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(function)
            self.until_blocked()
            self.assertTrue(future.cancel())
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result(blocking.ENOUGH)

    def in_branch(self, function):
        with bough.branch() as b:
            child = b.add(function)
            self.until_blocked()
            b.interrupt("enough")
        self.assertEqual(child.outcome, "interrupted")

    def by_deadline(self, function):
        with self.assertRaises(TimeoutError), bough.branch(timeout=0.2):
            function()


def add_tests():
    for function in (Zmq.recv, Zmq.poll, Zmq.poller, Zmq.send):
        for way in (Zmq.in_thread, Zmq.in_pool, Zmq.in_branch, Zmq.by_deadline):

            def test(self, function=function, way=way):
                begin = time.monotonic()
                way(self, function.__get__(self))
                self.assertIsInstance(self.error, bough.ThreadExit)
                self.assertLess(time.monotonic() - begin, 4 * blocking.SCALE)

            setattr(Zmq, f"test_{function.__name__}_{way.__name__}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
