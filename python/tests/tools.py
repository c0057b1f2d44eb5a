# SPDX-License-Identifier: MIT
"""Threads put in order, and what they raise kept for the test."""
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import bough

SCALE = float(os.environ.get("T_SCALE", 1))
LIMIT = 20 * SCALE
SOON = 0.5 * SCALE  # a time limit that passes when what it limits has begun
A_WHILE = 0.15 * SCALE  # in which what must not happen would have happened


def started(function, *args, cls=bough.Thread, **flags):
    """A thread that runs function(*args), or is about to: what is raised in it from now on is caught. `thread.raised` is what it
    ended by, `thread.result` what it returned."""
    begun = Gate()

    def run():
        try:
            begun.open()
            thread.result = function(*args)
        except BaseException as error:
            thread.raised = error.with_traceback(None)

    thread = cls(target=run)
    thread.raised = thread.result = None
    for name, value in flags.items():
        setattr(thread, name, value)
    thread.start()
    begun.passed()
    return thread


def until(condition, what="a condition"):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what} did not come true in {LIMIT:g} s")
        time.sleep(0.001)


def until_inside(thread, function):
    """It is in this function, or below."""

    def inside():
        frame = sys._current_frames().get(thread.ident)
        while frame is not None and frame.f_code is not function.__code__:
            frame = frame.f_back
        return frame is not None

    until(inside, f"{thread} is in {function.__name__}()")


def state_of(thread):
    stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


def switches(thread):
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return [line for line in status.splitlines() if "ctxt_switches" in line]


def is_blocked(thread):
    """It sleeps in the kernel, and went on sleeping while nobody held the interpreter lock."""
    before = switches(thread)
    time.sleep(0.01)
    return state_of(thread) == "S" and switches(thread) == before


def until_blocked(thread):
    until(lambda: is_blocked(thread), f"{thread} is blocked")


def ended(thread):
    """Joins it. Returns what it raised, or None."""
    thread.join(LIMIT)
    if thread.is_alive():
        raise AssertionError(f"{thread} has not ended")
    return thread.raised


def still_there(thread):
    thread.join(A_WHILE)
    return thread.is_alive()


@contextmanager
def pipe():
    r, w = os.pipe()
    try:
        yield r, w
    finally:
        os.close(r)
        os.close(w)


class Gate(threading.Event):
    """Passed once somebody has opened it; waiting in it has a time limit."""

    open = threading.Event.set

    def passed(self):
        if not self.wait(LIMIT):
            raise AssertionError("nobody opened the gate")


# ---- what threads do ------------------------------------------------------------------------------------------------------


def poll_for(request):
    while not request():
        time.sleep(0.001)
    return True


def points():
    while True:
        bough.check_interrupt()
        time.sleep(0.001)


def bytecode():
    n = 0
    while True:
        n += 1


def read(fd):
    return os.read(fd, 10)


class Blocked:
    """A call that blocks until go_on(), and returns what it has read; with its arguments, if it has any. Records its thread, that
    thread's name then, what it has read, and its error."""

    def __init__(self, test):
        pair = pipe()
        self.r, self.w = pair.__enter__()
        test.addCleanup(pair.__exit__, None, None, None)
        self.thread = self.name = self.error = self.read = None

    def __call__(self, *args):
        self.thread = threading.current_thread()
        self.name = self.thread.name
        try:
            self.read = read(self.r)
        except BaseException as error:
            self.error = error
            raise
        return (self.read, *args) if args else self.read

    def until_blocked(self):
        until(lambda: self.thread is not None, "the call's begin")
        until_blocked(self.thread)

    def is_blocked(self):
        return self.thread is not None and is_blocked(self.thread)

    def go_on(self):
        with open(self.w, "wb", closefd=False) as file:
            file.write(b"x")


def switch_often(add_cleanup):
    """The GIL changes hands at any moment, until the cleanup that is added."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    add_cleanup(sys.setswitchinterval, interval)


# ---- shared by files -------------------------------------------------------------------------------------------------------


def open_what_stays():
    """What is opened once, and kept, is open before a test looks."""
    bough.raise_exc(threading.get_ident(), KeyError)
    try:
        bough.check_interrupt()
    except KeyError:
        pass


def assert_kept_out(test, function):
    """function(inside, leave) opens `inside` where nothing may come in, stays there until `leave`, adds to that and goes on.
    What is raised in it meanwhile comes after that."""
    inside, leave = Gate(), []
    thread = started(function, inside, leave)
    inside.passed()
    thread.raise_exc(KeyError)
    test.assertTrue(still_there(thread))
    leave.append(1)
    test.assertIsInstance(ended(thread), KeyError)
    test.assertEqual(leave, [1, 2])
