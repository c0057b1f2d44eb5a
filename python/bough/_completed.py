# SPDX-License-Identifier: MIT
"""Waits for the next of several children to end, for as_completed() and for the limit of map()."""
import collections
import os
import threading
import time


class Completed:
    """Each child that ends is appended to a deque, and a semaphore is released."""

    def __init__(self, children=()):
        self._begin()
        for child in children:
            self.add(child)

    def _begin(self):
        self._running, self._ended, self._count = {}, collections.deque(), threading.Semaphore(0)
        self._process = os.getpid()

    def add(self, child):
        ended, count = self._ended, self._count
        self._running[child] = None
        child._when_over(lambda: (ended.append(child), count.release()))

    def __len__(self):
        """How many children next() has not returned yet."""
        return len(self._running)

    def next(self, until=None):
        """The next child that has ended, or None if no child ends before `until`, a time of time.monotonic()."""
        if os.getpid() != self._process:
            self._in_new_process()
        left = None if until is None else min(max(until - time.monotonic(), 0), threading.TIMEOUT_MAX)
        if not self._count.acquire(timeout=left):
            return None
        child = self._ended.popleft()
        del self._running[child]
        return child

    def _in_new_process(self):
        """Start again after a fork: running children stay in the parent, where a thread may have held the semaphore's lock."""
        children = dict.fromkeys((*self._ended, *self._running))
        self._begin()
        for child in children:
            self.add(child)
