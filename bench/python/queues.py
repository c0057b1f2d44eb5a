# SPDX-License-Identifier: MIT
"""Queues that are not empty, and a queue between two threads."""
import queue
import threading
import time
from itertools import repeat

import bough
from measure import pairs_of_processes, row_of_pairs, rows_by_state

ITEMS = 1500


def put_get(q):
    def run(count):
        put, get = q.put, q.get
        for _ in repeat(None, count):
            put(None)
            get()

    return run


def there_and_back(cls, **flags):
    """Microseconds for an item that one thread puts, and another takes and puts back."""
    there, back, spent = queue.Queue(), queue.Queue(), []

    def answer():
        for _ in range(ITEMS):
            back.put(there.get())

    def ask():
        start = time.perf_counter()
        for _ in range(ITEMS):
            there.put(None)
            back.get()
        spent.append((time.perf_counter() - start) / ITEMS * 1e6)

    threads = [cls(target=answer), cls(target=ask)]
    for thread in threads:
        for name, value in flags.items():
            setattr(thread, name, value)
        thread.start()
    for thread in threads:
        thread.join()
    return spent[0]


def between_opted_in_threads():
    return there_and_back(bough.Thread, enable_io_interrupt=True)


def between_plain_threads():
    return there_and_back(threading.Thread)


def rows(quick):
    operations = {
        "Queue put and get": put_get(queue.Queue()),
        "SimpleQueue put and get": put_get(queue.SimpleQueue()),
    }
    targets = {"Queue put and get": (1.1, None)}
    yield from rows_by_state(operations, 1500, 40 if quick else 300, targets)
    pairs = pairs_of_processes("queues", "between_opted_in_threads", "between_plain_threads", 15 if quick else 100)
    yield row_of_pairs("Queue, to another thread and back, opted in", "a process without bough", "us", pairs, at_most=1.1)
