# SPDX-License-Identifier: MIT
"""Threads that wait, and how to detect that."""
import os
import time


def is_asleep(tid):
    with open(f"/proc/self/task/{tid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[0] == b"S"


def until_asleep(tid):
    """Returns when the thread was asleep at three checks in a row: it is in its call, and does not wait for the GIL."""
    asleep = 0
    while asleep < 3:
        time.sleep(0.0001)
        asleep = asleep + 1 if is_asleep(tid) else 0


def until_all_asleep():
    """The same for all threads but the calling one."""
    me = str(os.getpid())
    for tid in os.listdir("/proc/self/task"):
        if tid != me:
            until_asleep(tid)


class Started:
    """Counts the threads that have begun: wait_for(count) returns when `count` threads have."""

    def __init__(self):
        self.begun = []

    def note(self):
        self.begun.append(None)

    def wait_for(self, count):
        while len(self.begun) < count:
            time.sleep(0.001)
