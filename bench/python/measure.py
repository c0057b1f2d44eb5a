# SPDX-License-Identifier: MIT
"""Paired measurements: the rows of the table, and the ways to measure them.

The subject and its counterpart run in turns, a batch each, in one process or in a pair of processes, and each round
gives one ratio. So a load that comes and goes affects both sides. A row has the median of the ratios and their
quartiles.
"""
import gc
import importlib
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import repeat

import bough


@dataclass
class Row:
    """One line of the table.

    ratio, low, high  the median of the rounds' ratios and the quartiles; None for a row without a comparison
    value, other      the medians of both sides, in `unit`
    at_most           the target: for the ratio, or for the value where there is no ratio; None without a target
    """

    what: str
    against: str
    unit: str
    value: float
    other: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    at_most: float | None = None
    value_at_most: float | None = None

    def as_dict(self):
        return asdict(self)


def quartiles(samples):
    if len(samples) < 2:
        return samples[0], samples[0], samples[0]
    low, median, high = statistics.quantiles(samples, n=4)
    return low, median, high


def row_of_pairs(what, against, unit, pairs, **targets):
    """`pairs`: (subject, other) of each round, in `unit`."""
    low, ratio, high = quartiles([subject / other for subject, other in pairs])
    value, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Row(what, against, unit, value, other, ratio, low, high, **targets)


def in_turns(subject, other, rounds):
    """Calls both in each round, in alternating order. Returns the pairs of their results."""
    pairs = []
    for i in range(rounds):
        if i % 2:
            second = other()
            pairs.append((subject(), second))
        else:
            first = subject()
            pairs.append((first, other()))
    return pairs


# ---- a pair of processes ---------------------------------------------------------------------------------------------


class InProcess:
    """A function of a module, which measures and returns a number, in a process that runs one batch for each call."""

    def __init__(self, module, function):
        self.what = f"{module}.{function}()"
        command = [sys.executable, __file__, module, function]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.what} has ended its process, with status {self.process.wait()}")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve(module, function):
    measured = getattr(importlib.import_module(module), function)
    for _ in sys.stdin:
        print(measured(), flush=True)


def pairs_of_processes(module, subject, other, rounds):
    """The same as in_turns(), for two functions of a module, each in its process. The first two rounds do not count."""
    sides = InProcess(module, subject), InProcess(module, other)
    try:
        return in_turns(*sides, rounds + 2)[2:]
    finally:
        for side in sides:
            side.close()


# ---- the states of a thread that calls ---------------------------------------------------------------------------

PLAIN = "a process without bough"
BESIDE = "not opted in"
OPTED_IN = "opted in"


@contextmanager
def state(which):
    """Sets the calling thread's state for the block. PLAIN also undoes what opting in has changed in the process."""
    if which == PLAIN:
        bough.opt_out()
        yield
        return
    bough.opt_in()
    if which == BESIDE:
        yield
        return
    with bough.set_enable_io_interrupt(True):
        yield


@contextmanager
def without_gc():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def batch_of(operation, count):
    """Nanoseconds of processor time for each call of `operation`, which must not wait."""
    start = time.thread_time_ns()
    for _ in repeat(None, count):
        operation()
    return (time.thread_time_ns() - start) / count


def by_state(operations, count, rounds):
    """Measures each operation in each state. Returns name -> state -> a list with the nanoseconds of each round.

    operations: name -> a function (count) that runs the operation `count` times, and must not wait
    """
    times = {name: {PLAIN: [], BESIDE: [], OPTED_IN: []} for name in operations}
    order = [PLAIN, BESIDE, OPTED_IN]
    with without_gc():
        for i in range(rounds + 2):
            for which in order:
                with state(which):
                    for name, run in operations.items():
                        run(count // 20)  # warms caches and call addresses after the change of state
                        start = time.thread_time_ns()
                        run(count)
                        spent = (time.thread_time_ns() - start) / count
                        if i >= 2:
                            times[name][which].append(spent)
            order = order[1:] + order[:1]
    return times


def rows_by_state(operations, count, rounds, at_most):
    """Two rows for each operation: an opted-in thread and one that is not, beside a process without bough.

    at_most: name -> the targets (opted in, not opted in); None without
    """
    for name, times in by_state(operations, count, rounds).items():
        for which, target in zip((OPTED_IN, BESIDE), at_most.get(name, (None, None)), strict=True):
            pairs = list(zip(times[which], times[PLAIN], strict=True))
            yield row_of_pairs(f"{name}, {which}", PLAIN, "ns", pairs, at_most=target)


if __name__ == "__main__":
    serve(*sys.argv[1:])
