# SPDX-License-Identifier: MIT
"""The wait for whichever of several children ends next: of as_completed(), and of map() for a place."""
import collections
import os
import threading
import time


class Completed:
    """Each child that ends appends itself, and releases the semaphore."""

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
        """How many next() has not returned yet."""
        return len(self._running)

    def next(self, until=None):
        """The next one that has ended, or None: none has until this time of time.monotonic()."""
        if os.getpid() != self._process:
            self._in_new_process()
        left = None if until is None else min(max(until - time.monotonic(), 0), threading.TIMEOUT_MAX)
        if not self._count.acquire(timeout=left):
            return None
        child = self._ended.popleft()
        del self._running[child]
        return child

    def _in_new_process(self):
        """After a fork: those that run are the other process's. One of its threads may have held the semaphore's lock."""
        children = dict.fromkeys((*self._ended, *self._running))
        self._begin()
        for child in children:
            self.add(child)
