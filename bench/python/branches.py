# SPDX-License-Identifier: MIT
"""Branches whose children have nothing to do, beside pools and threads; and blocks without children."""
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import bough
from measure import OPTED_IN, PLAIN, Row, in_turns, row_of_pairs, state, without_gc

CHILDREN = 8


def nothing():
    pass


def branch_of(children):
    with bough.branch() as b:
        for _ in range(children):
            b.add(nothing)


def pool_of(children):
    with ThreadPoolExecutor(children) as pool:
        for _ in range(children):
            pool.submit(nothing)


def threads_of(children):
    threads = [threading.Thread(target=nothing) for _ in range(children)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def timed(operation, children, count, which):
    def batch():
        with state(which):
            operation(children)
            start = time.perf_counter_ns()
            for _ in repeat(None, count):
                operation(children)
            return (time.perf_counter_ns() - start) / count / 1000

    return batch


def empty_branch():
    with bough.branch():
        pass


def branch_with_timeout():
    with bough.branch(timeout=60):
        pass


def critical_section():
    with bough.critical_section():
        pass


def alone(operation, count, rounds):
    """Microseconds for each call, a value of each round."""
    values = []
    for _ in range(rounds):
        start = time.thread_time_ns()
        for _ in repeat(None, count):
            operation()
        values.append((time.thread_time_ns() - start) / count / 1000)
    return statistics.median(values)


def rows(quick):
    rounds = 30 if quick else 200
    with without_gc():
        for children, other, name, target in (
            (CHILDREN, pool_of, "a new ThreadPoolExecutor", 0.6),
            (CHILDREN, threads_of, "threading.Thread", 0.4),
            (1, threads_of, "threading.Thread", 0.5),
        ):
            subject = timed(branch_of, children, 8, OPTED_IN)
            pairs = in_turns(subject, timed(other, children, 8, PLAIN), rounds)
            what = f"a branch of {children}, start to joined"
            yield row_of_pairs(what, f"{name}, as many", "us", pairs, at_most=target)
        with state(OPTED_IN):
            for name, operation, target in (
                ("an empty branch", empty_branch, 3.0),
                ("an empty branch with a timeout", branch_with_timeout, 3.0),
                ("a critical section", critical_section, 0.5),
            ):
                yield Row(name, "", "us", alone(operation, 500, rounds), value_at_most=target)
