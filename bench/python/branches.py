# SPDX-License-Identifier: MIT
"""Branches whose children do nothing, compared with pools and threads; and blocks without children."""
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import bough
from measure import OPTED_IN, Row, pairs_of_processes, row_of_pairs, state, without_gc

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


def timed(operation, children, count=8):
    """Microseconds for each of `count` calls in a row."""
    operation(children)
    start = time.perf_counter_ns()
    for _ in repeat(None, count):
        operation(children)
    return (time.perf_counter_ns() - start) / count / 1000


def eight_children():
    return timed(branch_of, 8)


def pool_of_eight():
    return timed(pool_of, 8)


def eight_threads():
    return timed(threads_of, 8)


def one_child():
    return timed(branch_of, 1)


def one_thread():
    return timed(threads_of, 1)


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
    """Microseconds for each call, one value for each round."""
    values = []
    for _ in range(rounds):
        start = time.thread_time_ns()
        for _ in repeat(None, count):
            operation()
        values.append((time.thread_time_ns() - start) / count / 1000)
    return statistics.median(values)


def rows(quick):
    rounds = 30 if quick else 200
    for what, subject, against, other, target in (
        ("a branch of 8, start to joined", "eight_children", "a new ThreadPoolExecutor(8)", "pool_of_eight", 0.6),
        ("a branch of 8, start to joined", "eight_children", "8 threads", "eight_threads", 0.4),
        ("a branch of 1, start to joined", "one_child", "a thread", "one_thread", 0.5),
    ):
        yield row_of_pairs(what, against, "us", pairs_of_processes("branches", subject, other, rounds), at_most=target)
    with without_gc(), state(OPTED_IN):
        for name, operation, target in (
            ("an empty branch", empty_branch, 3.0),
            ("an empty branch with a timeout", branch_with_timeout, 3.0),
            ("a critical section", critical_section, 0.5),
        ):
            yield Row(name, "", "us", alone(operation, 500, rounds), value_at_most=target)
