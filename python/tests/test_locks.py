# SPDX-License-Identifier: MIT
"""The methods that wait for a lock behave, in a thread that opted in, like the interpreter's methods, for each way of calling them."""
import queue
import sys
import threading
import unittest

import bough
from tools import ended, started, until_blocked

ARGUMENTS = [
    ((), {}),
    ((True,), {}),
    ((False,), {}),
    ((1,), {}),
    ((True, 0.01), {}),
    ((True, 0), {}),
    ((True, -1), {}),
    ((True, None), {}),
    ((False, 1), {}),
    ((), {"blocking": False}),
    ((), {"block": False}),
    ((), {"timeout": 0.01}),
    ((), {"timeout": -2}),
    ((), {"timeout": 1e20}),
    ((True,), {"timeout": 0.01}),
    ((1, 2, 3), {}),
    ((), {"no": 1}),
    (("x",), {"timeout": "y"}),
]


def outcome(method, args, kwargs):
    """The result of the call, or the class and the text of its exception."""
    try:
        return method(*args, **kwargs)
    except Exception as error:
        return type(error), str(error)


def second_module():
    """_queue, imported again, as test.support.import_fresh_module() does."""
    first = sys.modules.pop("_queue")
    try:
        import _queue

        return _queue
    finally:
        sys.modules["_queue"] = first


class Ways(unittest.TestCase):
    def assert_same(self, make):
        """`make` returns a method of a new object, and a function that returns the object's state after the call."""

        def outcomes():
            results = []
            for args, kwargs in ARGUMENTS:
                method, after = make()
                results.append((args, kwargs, outcome(method, args, kwargs), after()))
            return results

        bough.opt_in()
        plain = outcomes()
        with bough.set_enable_io_interrupt():
            self.assertEqual(outcomes(), plain)

    def test_a_free_lock(self):
        def make():
            lock = threading.Lock()
            return lock.acquire, lock.locked

        self.assert_same(make)

    def test_a_free_lock_by_its_old_name(self):
        def make():
            lock = threading.Lock()
            return lock.acquire_lock, lock.locked

        self.assert_same(make)

    def test_a_free_rlock(self):
        def make():
            lock = threading.RLock()
            return lock.acquire, lock._is_owned

        self.assert_same(make)

    def test_a_queue_with_an_item(self):
        def make():
            q = queue.SimpleQueue()
            q.put("x")
            return q.get, q.qsize

        self.assert_same(make)

    def test_with_blocks(self):
        for lock in threading.Lock(), threading.RLock():
            with bough.set_enable_io_interrupt(), lock as entered:
                self.assertIs(entered, True)
                self.assertNotIn("unlocked", repr(lock))
            self.assertIn("unlocked", repr(lock))

    def test_an_rlock_counts(self):
        lock = threading.RLock()
        with bough.set_enable_io_interrupt():
            for _ in range(3):
                self.assertIs(lock.acquire(), True)
            self.assertIn("count=3", repr(lock))
            for _ in range(3):
                lock.release()
        self.assertFalse(lock._is_owned())

    def test_a_free_lock_is_taken_though_an_interrupt_is_pending(self):
        """Rule 9."""
        lock = threading.Lock()

        def run():
            bough.interrupt(threading.current_thread())
            return lock.acquire()

        thread = started(run, enable_io_interrupt=True)
        self.assertIsNone(ended(thread))
        self.assertIs(thread.result, True)


class Bound(unittest.TestCase):
    """A method may be bound before the opt-in, while it lasts, or after it; or the type's be called."""

    def assert_same(self, kind):
        def tried(method, lock, args, kwargs):
            result = outcome(method, args, kwargs)
            held = lock.acquire(False)
            lock.release()
            if result is True and held:
                lock.release()  # an RLock's owner acquires it again
            return result

        def ways(lock):
            return [lock.acquire, lambda *args, **kwargs: type(lock).acquire(lock, *args, **kwargs)]

        bough.opt_out()
        interpreters, lock = type(kind()).__dict__["acquire"], kind()
        bound = ways(lock)
        waits = [(args, kwargs) for args, kwargs in ARGUMENTS if args or kwargs]  # the lock is free
        plain = [tried(bound[0], lock, args, kwargs) for args, kwargs in waits]
        bough.opt_in()
        self.addCleanup(bough.opt_out)
        bound += [*ways(lock), interpreters.__get__(lock)]
        for method in bound:
            with bough.set_enable_io_interrupt():
                self.assertEqual([tried(method, lock, args, kwargs) for args, kwargs in waits], plain)
            self.assertEqual([tried(method, lock, args, kwargs) for args, kwargs in waits], plain)
        for method in bound:
            self.assert_interrupted(lock, method)
        self.assertEqual(interpreters.__doc__, type(lock).acquire.__doc__)
        self.assertEqual(repr(interpreters), repr(type(lock).acquire))
        bough.opt_out()
        self.assertIs(type(lock).__dict__["acquire"], interpreters)
        for method in bound:
            self.assertEqual([tried(method, lock, args, kwargs) for args, kwargs in waits], plain)

    def assert_interrupted(self, lock, method):
        with lock:
            thread = started(method, enable_io_interrupt=True)
            until_blocked(thread)
            thread.interrupt()
            self.assertIsInstance(ended(thread), bough.ThreadExit)

    def test_lock(self):
        self.assert_same(threading.Lock)

    def test_rlock(self):
        self.assert_same(threading.RLock)


class Queues(unittest.TestCase):
    """Types other than the one whose method was replaced."""

    def assert_works(self, q, empty):
        thread = started(q.get, enable_io_interrupt=True)
        until_blocked(thread)
        q.put("x")
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, "x")
        with bough.set_enable_io_interrupt():
            for args in (False,), (True, 0.01):
                with self.assertRaises(empty) as raised:
                    q.get(*args)
                self.assertIs(type(raised.exception), empty)
        thread = started(q.get, enable_io_interrupt=True)
        until_blocked(thread)
        thread.interrupt()
        self.assertIsInstance(ended(thread), bough.ThreadExit)

    def test_a_subclass(self):
        class Subclass(queue.SimpleQueue):
            pass

        self.assert_works(Subclass(), queue.Empty)

    def test_of_a_second_module(self):
        module = second_module()
        self.assert_works(module.SimpleQueue(), module.Empty)


if __name__ == "__main__":
    unittest.main()
