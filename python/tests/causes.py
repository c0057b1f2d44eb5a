# SPDX-License-Identifier: MIT
"""Errors of a client library, client.c: a function in a child is interrupted while it blocks in the client's call, and
raises such an error."""
import socket
import threading
import time
import unittest

import client
from bough import _bough, branch
from branching import until_blocked
from tools import until

limit = 60
stays = ("anon_inode:*event*",)


class Causes(unittest.TestCase):
    def setUp(self):
        self.silent, self.beside = socket.socketpair()
        self.talking, self.other = socket.socketpair()
        self.other.send(b"x")
        for one in self.silent, self.beside, self.talking, self.other:
            self.addCleanup(one.close)
        self.fd, self.ready, self.tids = self.silent.fileno(), self.talking.fileno(), []

    def noted(self, function, *args):
        """Runs the function, and records its start for until_blocked()."""
        def run(*more):
            self.tids.append(threading.get_native_id())
            return function(*args, *more)

        return run

    def until_blocked(self, count=1):
        until(lambda: len(self.tids) >= count, "all have begun")
        for tid in self.tids:
            until_blocked(tid)

    def ends_when_blocked(self, b, count=1):
        """Ends the branch by a deadline when its children are blocked, because a deadline before the add starts no
        child."""
        self.until_blocked(count)
        b.set_deadline(time.monotonic())

    def once_blocked(self, function, *args):
        """Calls the function, on another thread, when the calling thread blocks."""
        tid = threading.get_native_id()
        thread = threading.Thread(target=lambda: (until_blocked(tid), function(*args)))
        self.addCleanup(thread.join)
        thread.start()

    def child(self, function, *args):
        """Interrupts a child when it blocks, and returns the child, whose error stays readable."""
        with branch(supervisor=True) as b:
            child = b.add(self.noted(function, *args))
            self.until_blocked()
            child.interrupt("enough")
            child.join()
        self.tids.clear()
        self.assertEqual(_bough.interrupted_places(), [], "of a child that has ended")
        self.assertEqual(b.failures, [child.exception] if child.exception is not None else [])
        return child

    def is_interrupt(self, function, *args):
        child = self.child(function, *args)
        self.assertEqual((child.outcome, child.exception), ("interrupted", None))

    def is_failure(self, function, *args, of=None):
        child = self.child(function, *args)
        self.assertEqual(child.outcome, "error")
        self.assertIsInstance(child.exception, of or client.Error)
        return child.exception
