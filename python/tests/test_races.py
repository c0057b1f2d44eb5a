# SPDX-License-Identifier: MIT
"""The races between a lock's wait and its interrupt, with both outcomes: the test makes the event happen at the worst moment, in
the window between two steps of the wait (python/src/locks.c)."""
import queue
import threading
import unittest

import bough
from bough import ThreadExit, _bough
from tools import started, until, until_blocked

ROUNDS = 50


def waiter(wait):
    """A thread that waits interruptibly, and records its result and whether its interrupt is still pending."""

    def run():
        try:
            got = wait()
        except ThreadExit:
            got = "cut"
        pending = bough.interruption_requested()
        bough.clear_interrupt()
        return got, pending

    return started(run, enable_io_interrupt=True)


class Windows(unittest.TestCase):
    limit = 120

    def tearDown(self):
        _bough.set_window(None)

    def race(self, wait, at, do, *, post_when_blocked):
        """Runs wait(), and do() once in the window `at`. Returns the result."""
        done = []

        def in_window(name):
            if name == at and entered and not done and threading.get_ident() == thread.ident:
                done.append(name)
                do()

        go, entered = threading.Event(), []
        thread = waiter(lambda: (go.wait(), entered.append(True), wait())[2])
        _bough.set_window(in_window)
        go.set()
        if post_when_blocked:
            until_blocked(thread)
            thread.interrupt("now")
        thread.join()
        self.assertIsNone(thread.raised)
        self.assertEqual(done, [at])
        return thread.result

    # ---- the interrupt comes between the first try and the wait, while the thread does not sleep yet

    def posted_before_the_wait(self, wait):
        return self.race(
            wait, "before the wait", lambda: bough.interrupt(threading.current_thread()), post_when_blocked=False
        )

    def test_lock_is_posted_to_before_the_wait(self):
        """the wait is interrupted, and the lock is still held by its holder"""
        for _ in range(ROUNDS):
            lock = threading.Lock()
            lock.acquire()
            self.assertEqual(self.posted_before_the_wait(lock.acquire), ("cut", True))
            self.assertTrue(lock.locked())
            lock.release()
            self.assertTrue(lock.acquire(False))

    def test_with_is_posted_to_before_the_wait(self):
        """its body does not run"""

        def enter(lock):
            with lock:
                ran.append(True)

        for _ in range(ROUNDS):
            lock, ran = threading.Lock(), []
            lock.acquire()
            self.assertEqual(self.posted_before_the_wait(lambda: enter(lock)), ("cut", True))
            self.assertEqual(ran, [])
            self.assertTrue(lock.locked())

    def test_queue_is_posted_to_before_the_wait(self):
        """and nothing is taken"""
        for _ in range(ROUNDS):
            q = queue.SimpleQueue()
            self.assertEqual(self.posted_before_the_wait(q.get), ("cut", True))
            q.put(1)
            self.assertEqual(q.get_nowait(), 1)

    # ---- the awaited event comes after the interrupt, before the wait has raised: it belongs to this waiter

    def comes_after_the_cut(self, wait, come):
        return self.race(wait, "after the cut", come, post_when_blocked=True)

    def test_lock_is_released_after_the_cut(self):
        """one thread gets the lock, and the interrupt waits for the next point"""
        for _ in range(ROUNDS):
            lock = threading.Lock()
            lock.acquire()
            self.assertEqual(self.comes_after_the_cut(lock.acquire, lock.release), (True, True))
            self.assertFalse(lock.acquire(False))

    def test_rlock_stays_its_holders(self):
        """an RLock that is not released is not acquired, and its count does not change"""
        for _ in range(ROUNDS):
            lock = threading.RLock()
            lock.acquire()
            self.assertEqual(self.comes_after_the_cut(lock.acquire, lambda: None), ("cut", True))
            lock.release()
            other = started(lambda: lock.acquire(False))
            other.join()
            self.assertTrue(other.result)

    def test_item_comes_after_the_cut(self):
        """the waiter gets it"""
        for _ in range(ROUNDS):
            q = queue.SimpleQueue()
            self.assertEqual(self.comes_after_the_cut(q.get, lambda: q.put("item")), ("item", True))
            self.assertTrue(q.empty())

    def test_notification_comes_after_the_cut(self):
        """it counts: the wait returns True"""
        for _ in range(ROUNDS):
            condition = threading.Condition()

            def wait():
                with condition:
                    return condition.wait()

            def notify():
                # the waiter does not hold the lock in the window
                with condition:
                    condition.notify()

            self.assertEqual(self.comes_after_the_cut(wait, notify), (True, True))
            self.assertEqual(len(condition._waiters), 0)

    def test_notification_is_not_eaten(self):
        """a notification that comes after a waiter's interrupt goes to the next waiter"""
        for _ in range(ROUNDS):
            condition, woken = threading.Condition(), []

            def wait(who):
                with condition:
                    condition.wait()
                    woken.append(who)

            first = waiter(lambda: wait("first"))
            until(lambda: len(condition._waiters) == 1)
            second = waiter(lambda: wait("second"))
            until(lambda: len(condition._waiters) == 2)
            with condition:  # the first waiter can't take the lock back: it was interrupted, and is still in the queue
                first.interrupt()
                until(lambda: first.result or not first.is_alive() or cut_and_waiting(first))
                condition.notify()
            until(lambda: woken)
            for thread in first, second:
                if thread.is_alive() and not woken[1:]:
                    with condition:
                        condition.notify_all()
            first.join()
            second.join()
            self.assertEqual(woken[:1], ["second"] if first.result[0] == "cut" else ["first"])


def cut_and_waiting(thread):
    """Waits until the waiter has met its interrupt and sleeps, for the condition's lock, which this thread holds."""
    try:
        until_blocked(thread)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    unittest.main()
