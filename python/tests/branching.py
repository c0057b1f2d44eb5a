# SPDX-License-Identifier: MIT
"""Functions for children of branches, and tools that order them."""
import os
import threading
import time

from blocking import switches

SCALE = float(os.environ.get("T_SCALE", 1))
ENOUGH = 20 * SCALE


def until_blocked(tid):
    """Waits until the thread is asleep at several checks and between them, so that it does not wait for the GIL."""
    end, same, before = time.monotonic() + ENOUGH, 0, None
    while same < 4:
        now = switches(tid)
        same = same + 1 if now is not None and now == before else 0
        before = now
        if time.monotonic() > end:
            raise AssertionError("no blocked thread")
        time.sleep(0.006)


def block():
    time.sleep(ENOUGH * 3)
    raise AssertionError("block() was not interrupted")


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
