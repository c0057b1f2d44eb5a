# SPDX-License-Identifier: MIT
"""Interruption points, compared with the flag that a program without bough would test."""
import threading
import time
from itertools import repeat

import bough
from measure import OPTED_IN, in_turns, row_of_pairs, state, without_gc


def timed(operation, count):
    def batch():
        start = time.thread_time_ns()
        for _ in repeat(None, count):
            operation()
        return (time.thread_time_ns() - start) / count

    return batch


def rows(quick):
    rounds = 60 if quick else 400
    flag = threading.Event()
    with without_gc(), state(OPTED_IN):
        for name, operation in (
            ("check_interrupt()", bough.check_interrupt),
            ("interruption_requested()", bough.interruption_requested),
        ):
            pairs = in_turns(timed(operation, 5000), timed(flag.is_set, 5000), rounds)
            yield row_of_pairs(name, "Event.is_set()", "ns", pairs, at_most=0.5)
