# SPDX-License-Identifier: MIT
"""Processes that import bough, compared with some that do not, by processor time, which load hardly changes."""
import os
import sys

from measure import in_turns, row_of_pairs


def process(code):
    """Returns a function that runs the code in a process, and returns its user and system time in milliseconds."""

    def run():
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, usage = os.wait4(pid, 0)
        if status != 0:
            raise RuntimeError(f"{sys.executable} -c {code!r} ended with status {status}")
        return (usage.ru_utime + usage.ru_stime) * 1000

    return run


def rows(quick):
    rounds = 10 if quick else 60
    pairs = in_turns(process("import bough"), process("pass"), rounds)
    yield row_of_pairs("import bough", "the interpreter alone", "ms", pairs, at_most=1.3)
    pairs = in_turns(process("import threading, bough"), process("import threading"), rounds)
    yield row_of_pairs("import bough where threading is imported", "the same without bough", "ms", pairs)
