# SPDX-License-Identifier: MIT
"""The time from an interrupt to the end of the thread that it woke, compared with Event.set()."""
import socket
import threading
import time

import bough
from blocked import until_asleep
from measure import pairs_of_processes, row_of_pairs

ends = socket.socketpair()


def thread_in_recv():
    """The time from interrupt() to the end of join(), in microseconds."""
    thread = bough.Thread(target=ends[0].recv, args=(1,))
    thread.enable_io_interrupt = True
    thread.start()
    until_asleep(thread.native_id)
    start = time.perf_counter_ns()
    thread.interrupt()
    thread.join()
    return (time.perf_counter_ns() - start) / 1000


def child_in_recv():
    """The time from interrupt() to the end of the block."""
    tids = []

    def child():
        tids.append(threading.get_native_id())
        ends[0].recv(1)

    with bough.branch() as b:
        b.add(child)
        while not tids:
            time.sleep(0.0001)
        until_asleep(tids[0])
        start = time.perf_counter_ns()
        b.interrupt()
    return (time.perf_counter_ns() - start) / 1000


def event():
    """The time from set() to the end of join(), in a process that has not opted in."""
    flag = threading.Event()
    thread = threading.Thread(target=flag.wait)
    thread.start()
    until_asleep(thread.native_id)
    start = time.perf_counter_ns()
    flag.set()
    thread.join()
    return (time.perf_counter_ns() - start) / 1000


def rows(quick):
    rounds = 60 if quick else 400
    for name, subject in (
        ("a Thread in recv(), interrupted to joined", "thread_in_recv"),
        ("a child in recv(), interrupted to joined", "child_in_recv"),
    ):
        pairs = pairs_of_processes("wakes", subject, "event", rounds)
        yield row_of_pairs(name, "Event.set() to joined", "us", pairs, at_most=1.5, value_at_most=200)
