# SPDX-License-Identifier: MIT
"""Tools that order threads, and keep what they raise for the test."""
import inspect
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import bough

SCALE = float(os.environ.get("T_SCALE", 1))
LIMIT = 20 * SCALE
SOON = 0.5 * SCALE  # a time limit that passes after the limited code has begun
A_WHILE = 0.15 * SCALE  # in which an event that must not happen would have happened


def started(function, *args, cls=bough.Thread, **flags):
    """Starts a thread that runs function(*args). Returns when all exceptions that are raised in it will be caught:
    `thread.raised` is the exception that ended it, `thread.result` the function's result."""
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
    """Waits until the thread executes this function, or a function that it has called."""

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
    """Whether the thread sleeps in the kernel, and went on sleeping while the GIL was free."""
    before = switches(thread)
    time.sleep(0.01)
    return state_of(thread) == "S" and switches(thread) == before


def until_blocked(thread):
    until(lambda: is_blocked(thread), f"{thread} is blocked")


def ended(thread):
    """Joins the thread. Returns the exception that ended it, or None."""
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
    """An event that a thread opens. Waiting for it has a time limit."""

    open = threading.Event.set

    def passed(self):
        if not self.wait(LIMIT):
            raise AssertionError("no thread opened the gate")


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
    """A call that blocks until go_on(), and returns the data that it has read, with its arguments if it has any.
    Records its thread, the thread's name during the call, the data, and the error."""

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
    """Makes threads switch at many places, because the GIL changes hands often. Adds a cleanup that ends that."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    add_cleanup(sys.setswitchinterval, interval)


# ---- shared by files -------------------------------------------------------------------------------------------------------


def open_what_stays():
    """Makes bough open the descriptors that it keeps, before a test counts descriptors."""
    bough.raise_exc(threading.get_ident(), KeyError)
    try:
        bough.check_interrupt()
    except KeyError:
        pass


def assert_kept_out(test, function):
    """function(inside, leave) opens `inside` in code that admits no exception, stays there until `leave` has an item,
    and adds another. An exception that is posted meanwhile is raised after that code."""
    inside, leave = Gate(), []
    thread = started(function, inside, leave)
    inside.passed()
    thread.raise_exc(KeyError)
    test.assertTrue(still_there(thread))
    leave.append(1)
    test.assertIsInstance(ended(thread), KeyError)
    test.assertEqual(leave, [1, 2])


# ---- between two lines ------------------------------------------------------------------------------------------------------


class AtLine:
    """Calls actions in a thread between two lines of `function`. Each is a pair (text, action): action() is called once,
    before the thread executes the first line that contains the text. `with AtLine(...):` traces the calling thread,
    threading.settrace(AtLine(...)) all threads that begin later. An exception that action() raises is raised at that line,
    as that of a signal handler would be."""

    def __init__(self, function, *pairs):
        self.code, self.actions = inspect.unwrap(function, stop=lambda f: hasattr(f, "__code__")).__code__, {}
        lines, first = inspect.getsourcelines(self.code)
        for text, action in pairs:
            self.actions[next(first + i for i, line in enumerate(lines) if text in line)] = action

    def __call__(self, frame, what, arg):
        return self.at_line if frame.f_code is self.code else None

    def at_line(self, frame, what, arg):
        if what == "line":
            self.actions.pop(frame.f_lineno, int)()
        return self.at_line

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *error):
        sys.settrace(self.before)


def ctrl_c():
    """An action: a Ctrl-C comes."""
    raise KeyboardInterrupt


class Stop:
    """An action: the thread stops until go_on()."""

    def __init__(self):
        self.reached, self.left = Gate(), Gate()

    def __call__(self):
        self.reached.open()
        self.left.passed()

    def until_reached(self):
        self.reached.passed()

    def go_on(self):
        self.left.open()
