# SPDX-License-Identifier: MIT
"""Time limits of tests. pytest_bough.py loads this file when a test has one.

A phase of a test (its setup, its call, its teardown) begins and ends on the test's thread. When the phase exceeds its limit, the
watcher, a thread of this file, posts an exception to the test's thread as raise_exc() does, which is raised in a blocking call or
between bytecodes. The cleanup (a `finally`, other finalizers, tearDown()) has the grace period, then the exception is raised again.

If the exception can't be raised within the grace period, the watcher ends the run (_pytest_end.py). If the watcher does not get the
GIL, the deadman's switch ends the run (deadman.c); before that it sends main signals, which end a system call of C code.

A phase is not a scope or branch: a fixture may open a branch in its setup and leave it in its teardown, and a block that was opened
in between would have to end first. An interrupt of a block around the fixtures would reach the children of all fixtures.
"""
import math
import os
import signal
import sys
import threading
import traceback
import types
from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from time import sleep

import pytest

from bough import _bough, _own, _patch_stdlib, _pytest_asyncio, _pytest_end, _tree
from bough._async_safe import may_raise_in

MOST = 5  # exceptions that a phase may swallow before the run is ended
LOOKS = 0.2  # seconds between two checks whether a posted exception was raised
LATE = 0.5  # seconds that the exception may be late before main gets signals
SPARE = 2.0  # seconds that the watcher has before the deadman's switch ends the run
MOST_STACKS = 32
DEBUGGERS = ("bdb", "pdb", "ipdb", "pydevd", "_pydevd", "debugpy")
PACKAGE = os.path.dirname(__file__) + os.sep

_phases = []  # running phases, the innermost last: a test may run pytest in the same process
_lock = allocate_lock()  # guards _phases, and what the watcher changes in them
_bell = allocate_lock()  # released to wake the watcher
_wakes_at = math.inf  # when the watcher's next check is due
_is_watched = False
_signo = None  # the signal that main gets if nothing else reaches it; 0: no signal is free
_is_prepared = False


def now():
    """The time in seconds, of a clock that test libraries do not replace."""
    return _bough.now() / 1e9


# ---- a phase ---------------------------------------------------------------------------------------------------------


class Phase:
    def __init__(self, item, when, limit, grace):
        self.item, self.when, self.limit, self.grace = item, when, limit, grace
        self.id, self.ident = _bough.id_of(threading.get_ident()), threading.get_ident()
        self.began = now()
        self.over_at = self.began + limit.seconds
        self.next = self.over_at  # when the watcher has to act
        self.posted = None  # the exception that the watcher has not seen raised yet
        self.posted_at = 0.0
        self.posts = []
        self.is_cancelled = False  # whether the asyncio task was cancelled
        self.trace = None  # a traceback of the thread at its limit
        self.sections = []
        self.is_debugged = False

    def message(self):
        what = "the test" if self.when == "call" else f"the {self.when} of the test"
        return f"Timeout: {what} took longer than {self.limit.seconds:g} s ({self.limit.source})"

    # ---- called by the watcher, with the lock

    def look(self):
        """Act if that is due. Returns the time of the next check."""
        at = now()
        if at < self.next or self.is_debugged:
            return math.inf if self.is_debugged else self.next
        if self.posted is None:
            if not self.first_time() or not self.cancel():
                self.post(at)
        elif self.posted.__traceback__ is not None:  # the exception was raised
            self.posted = None
            self.next = at + self.grace
            self.move_deadman(self.grace)
        elif at - self.posted_at >= self.grace:
            _pytest_end.end_run(self, "is stuck where no exception can be raised, in C code for instance")
        else:
            self.wake_branch()
            self.next = at + LOOKS
        return self.next

    def first_time(self):
        """At the first call, keep where the thread stands. Returns whether this was the first call."""
        if self.trace is not None:
            return False
        frame = sys._current_frames().get(self.ident)
        self.trace = trace_of(frame)
        self.loop, self.task = _pytest_asyncio.waiting_in(frame)
        self.sections = sections(self)
        return True

    def cancel(self):
        """Cancel the asyncio task, which then has half of the grace period to end. Returns whether there is one."""
        if self.task is None or not _pytest_asyncio.cancel(self.loop, self.task, self.message()):
            return False
        self.is_cancelled = True
        self.next = now() + self.grace / 2
        self.move_deadman(self.grace / 2)
        return True

    def post(self, at):
        if len(self.posts) == MOST:
            _pytest_end.end_run(self, f"has swallowed the exception of its limit {MOST} times")
        self.posted, self.posted_at = pytest.fail.Exception(self.message()), at
        self.posts.append(self.posted)
        with suppress(ValueError):  # the thread has ended
            _bough.raise_in(self.id, self.posted)
        self.next = at + LOOKS
        self.move_deadman(0.0)

    def wake_branch(self):
        """If the thread waits at the end of a branch, interrupt the children: the exception is raised after their end."""
        with suppress(ValueError):
            handle = _bough.waiting_branch(self.id)
            if handle is not None:
                _bough.interrupt_handle(handle, self.message())

    def move_deadman(self, seconds):
        if self is _phases[-1]:
            _bough.deadman_move(seconds + LATE, seconds + self.grace + SPARE)

    # ---- called by the test's thread

    def set_deadman(self):
        left = max(0.0, self.over_at - now())
        text = _pytest_end.heading(self, "is stuck in C code that keeps the GIL")
        pokes_in = left + min(LATE, self.grace / 2)
        _bough.deadman_set(pokes_in, left + self.grace + SPARE, _signo, _pytest_end.stderr, _pytest_end.STATUS, text)

    def take_back(self):
        for error in self.posts:
            _bough.take_back(error)
            without_package(error.__traceback__)
        infos = getattr(self.item, "_excinfo", None) or []  # the errors of a unittest.TestCase
        for info in infos:
            without_package(info.tb)
        if self.is_cancelled:
            _pytest_asyncio.replace(infos, self.message())

    def failure(self, error):
        """Return the exception that replaces `error`, which the test has raised; None to keep `error`. A test that ends late
        without an exception fails with the traceback of its thread at the limit."""
        if self.is_cancelled and error is not None:
            return _pytest_asyncio.failure_of(error, self.message())
        took = now() - self.began
        if self.is_debugged or took < self.limit.seconds or error is not None or getattr(self.item, "_excinfo", None):
            return None
        error = pytest.fail.Exception(f"{self.message()}: {took:.3g} s", pytrace=self.trace is not None)
        return error.with_traceback(self.trace)


def trace_of(frame):
    """A traceback that ends in this frame."""
    trace = None
    while frame is not None:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            trace = types.TracebackType(trace, frame, frame.f_lasti, frame.f_lineno or frame.f_code.co_firstlineno)
        frame = frame.f_back
    return trace


def without_package(trace):
    """Remove bough's frames from the traceback."""
    while trace is not None:
        while trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename.startswith(PACKAGE):
            trace.tb_next = trace.tb_next.tb_next
        trace = trace.tb_next


def begin(item, when, limit, grace):
    """Begin a phase; called by the test's thread. Returns None if a debugger is active: the phase has no limit then."""
    if is_debugged():
        return None
    take_part()
    phase = Phase(item, when, limit, grace)
    with _bough.critical_section(60.0), _lock:
        _phases.append(phase)
        wakes = phase.next < _wakes_at
    if wakes:
        try:
            ring()
        except BaseException:  # without a watcher the phase does not run
            with _bough.critical_section(60.0), _lock:
                _phases.remove(phase)
            raise
    phase.set_deadman()
    return phase


def end(phase, error):
    """End a phase, which has raised `error` or None; called by the test's thread. Returns the exception to raise instead."""
    with _bough.critical_section(60.0), _lock:
        _phases.remove(phase)
        outer = _phases[-1] if _phases else None
    _bough.deadman_off()
    phase.take_back()
    if outer is not None and not outer.is_debugged:
        outer.set_deadman()
    for name, text in phase.sections:
        phase.item.add_report_section(phase.when, name, text)
    return phase.failure(error)


def suspend():
    """A debugger starts: the running phases have no limit from now on."""
    with _bough.critical_section(60.0), _lock:
        for phase in _phases:
            phase.is_debugged = True
    _bough.deadman_off()


def is_debugged():
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None:
        return True
    module = getattr(sys.gettrace(), "__module__", None) or ""
    return module.split(".")[0].startswith(DEBUGGERS)


# ---- the watcher -----------------------------------------------------------------------------------------------------


def watch():
    global _wakes_at
    while True:
        with _lock:
            _wakes_at = min([phase.look() for phase in _phases], default=math.inf)
            timeout = min(_wakes_at - now(), 86400.0)
        _bell.acquire(True, max(0.0, timeout))


def ring():
    """Wake the watcher, or start it: without threading, because programs count its threads."""
    global _is_watched
    if not _is_watched:
        _is_watched = True
        try:
            start_new_thread(watch, ())
        except BaseException:  # the next phase tries again
            _is_watched = False
            raise
    with suppress(RuntimeError):  # the bell is released already
        _bell.release()


def in_new_process():
    """A forked process has no watcher, and the phases of its parent do not end in it."""
    global _lock, _bell, _is_watched, _wakes_at
    _lock, _bell, _is_watched, _wakes_at = allocate_lock(), allocate_lock(), False, math.inf
    _phases.clear()


os.register_at_fork(after_in_child=in_new_process)


# ---- the thread of the tests -----------------------------------------------------------------------------------------


def prepare():
    """Do once what must be done while pytest captures no output."""
    global _is_prepared
    if _is_prepared:
        return
    _is_prepared = True
    _pytest_end.open_stderr()
    for name, module in list(sys.modules.items()):
        if name.startswith(("_pytest.", "pluggy.")) or name in ("pytest_bough", "unittest.case"):
            _own.kept_out.add(getattr(module, "__file__", None))


def take_part():
    """Opt in the calling thread for exceptions that are posted to it. Other interrupts end no call that they did not end before."""
    global _signo
    prepare()
    _patch_stdlib.opt_in()
    if _bough.takes_part() == 0:
        _bough.switch_taking_part(True)
        _bough.set_taking_part(False)
    if _signo is None and threading.current_thread() is threading.main_thread():
        _signo = free_signal()
        if _signo:
            signal.signal(_signo, on_signal)


def free_signal():
    """A real-time signal that has no handler; 0 if there is none."""
    for number in range(signal.SIGRTMAX, signal.SIGRTMIN, -1):
        if signal.getsignal(number) == signal.SIG_DFL:
            return number
    return 0


def on_signal(signo, frame):
    """Runs on main after C code: during the sleep the watcher gets the GIL, and posts."""
    if any(now() >= phase.over_at for phase in _phases) and may_raise_in(frame):
        sleep(0.02)
        _bough.check_interrupt()


# ---- what is reported ------------------------------------------------------------------------------------------------


def sections(phase):
    """The report's further sections, as [(name, text)]."""
    found = []
    for name, make in ("tree of threads", tree), ("other threads", other_threads), ("other tasks", other_tasks):
        try:
            text = make(phase)
        except Exception as error:
            text = f"cannot be shown: {error!r}"
        if text:
            found.append((name, text))
    return found


def tree(phase):
    return "\n".join(line for line in _tree.lines_of_dump() if not line.endswith("it writes this"))


def other_threads(phase):
    names = {thread.ident: thread.name for thread in list(threading._active.values())}
    parts = []
    for ident, frame in sys._current_frames().items():
        if ident in names and ident != phase.ident and len(parts) < MOST_STACKS:
            parts.append(f"{names[ident]}:\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(parts)


def other_tasks(phase):
    return _pytest_asyncio.tasks(phase.loop, phase.task)
