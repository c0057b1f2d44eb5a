# SPDX-License-Identifier: MIT
"""Locks without contention."""
import threading
from itertools import repeat

from measure import rows_by_state


def acquire_release(lock):
    def run(count):
        acquire, release = lock.acquire, lock.release
        for _ in repeat(None, count):
            acquire()
            release()

    return run


def with_block(lock):
    def run(count):
        for _ in repeat(None, count):
            with lock:
                pass

    return run


def rows(quick):
    operations = {
        "Lock acquire and release": acquire_release(threading.Lock()),
        "with Lock": with_block(threading.Lock()),
        "RLock acquire and release": acquire_release(threading.RLock()),
        "with RLock": with_block(threading.RLock()),
    }
    targets = {name: (1.1, 1.0) for name in operations}
    yield from rows_by_state(operations, 4000, 40 if quick else 300, targets)
