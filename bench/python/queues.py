# SPDX-License-Identifier: MIT
"""Queues that hold what is asked for."""
import queue
from itertools import repeat

from measure import rows_by_state


def put_get(q):
    def run(count):
        put, get = q.put, q.get
        for _ in repeat(None, count):
            put(None)
            get()

    return run


def rows(quick):
    operations = {
        "Queue put and get": put_get(queue.Queue()),
        "SimpleQueue put and get": put_get(queue.SimpleQueue()),
    }
    targets = {"Queue put and get": (1.1, None)}
    yield from rows_by_state(operations, 1500, 40 if quick else 300, targets)
