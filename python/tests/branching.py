# SPDX-License-Identifier: MIT
"""Functions for children of branches, and tools that order them."""
import os
import threading
import time
from pathlib import Path

from tools import until

SCALE = float(os.environ.get("T_SCALE", 1))
ENOUGH = 20 * SCALE


def sleeps(tid):
    try:
        return Path(f"/proc/self/task/{tid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return False


def until_blocked(tid):
    """Waits until the thread is asleep at several checks, so that it does not wait for the GIL."""
    for _ in range(4):
        until(lambda: sleeps(tid), "a blocked thread")
        time.sleep(0.006)


def block():
    time.sleep(ENOUGH * 3)
    raise AssertionError("nobody interrupted it")


def block_and(event):
    """A child that records its start and its end."""
    event.began = True
    try:
        block()
    except BaseException as error:
        event.error = error
        raise


class Place:
    """The events that a child records."""

    began, error = False, None


class Thing:
    def __init__(self, error=None):
        self.closed, self.error, self.by = 0, error, None

    def close(self):
        self.closed += 1
        self.by = threading.get_ident()
        if self.error:
            raise self.error


class A(Exception):
    pass


class B(Exception):
    pass


def fail(error):
    raise error


def fail_once_blocked(tid, error):
    until_blocked(tid)
    raise error
