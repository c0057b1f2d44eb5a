# SPDX-License-Identifier: MIT
"""The end of a program that `bough run` runs.

Ctrl-C raises KeyboardInterrupt in main, as in any program. SIGTERM raises ThreadExit, at first in main only. Then main's way out
runs: the program's cleanup, which may ask threads to end, shut pools down, and wait for them. It has PATIENCE for that. Then

  - a thread that main joins is interrupted;
  - threads that do not wait at a lock are interrupted if main is still in the `finally`, `except` or `__exit__` that the Ctrl-C has
    led to, or in any code after a SIGTERM, because main may wait for a lock that one of them holds. After PATIENCE again, all are.

When main has ended, all threads are interrupted. Daemon threads have PATIENCE for their cleanup, which the interpreter would stop
halfway.

A program may go on after a Ctrl-C: when main has done anything else for PATIENCE, its later waits do not count as its way out.
"""
import _thread
import os
import signal
import threading
import time
from contextlib import suppress
from weakref import WeakSet

from bough import _bough, _own, _plain, _replace, _signals
from bough._exceptions import ThreadExit

PATIENCE = 1 / 30  # share of the ladder's grace period: 1 second by default

_process = 0
_signo = 0  # the last signal that has come
_interrupted = WeakSet()  # threads that were interrupted singly, by main or by the watching thread
_interrupting = _thread.allocate_lock()  # guards additions to it
_patient_until = _on_way_out_until = 0.0  # times of time.monotonic()
_event = _thread.allocate_lock()  # released by a signal that begins the way out

os.register_at_fork(after_in_child=_interrupting._at_fork_reinit)


def take_part():
    global _process
    _process = os.getpid()
    _start_watch()
    _bough.signals_come_to_main_first()
    _signals.when_taken = _begin_way_out
    _replace.replace(signal, "default_int_handler", lambda original: _replace.around(original, before=_begin_way_out))
    _replace.replace(threading.Thread, "join", _join)
    _replace.follow_imports({"tkinter": "bough._program_tk"})
    handler = signal.default_int_handler
    if signal.getsignal(signal.SIGINT) is handler.__wrapped__:
        _replace.on_undo(lambda: _put_back(handler))
        signal.signal(signal.SIGINT, handler)


def _put_back(handler):
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is handler:
        signal.signal(signal.SIGINT, handler.__wrapped__)


# ---- main's way out -----------------------------------------------------------------------------------------------------


def _begin_way_out(signo=signal.SIGINT):
    """Runs in main's signal handler, possibly while main holds one of threading's locks: it must not use threading."""
    global _signo, _patient_until, _on_way_out_until
    if os.getpid() != _process:
        return  # a forked process ends as without bough
    _signo = signo
    _patient_until = _on_way_out_until = time.monotonic() + _patience()
    with suppress(RuntimeError):  # the lock is released already
        _event.release()


def _start_watch():
    """Start the watching thread before any signal: main may end right after a signal, and the interpreter's end frees the start
    data of a new thread even if the thread has not read that yet."""
    begun = _thread.allocate_lock()
    for lock in _event, begun:
        lock.acquire()
    _thread.start_new_thread(_watch, (begun,))
    begun.acquire()


def _watch(begun):
    begun.release()
    with suppress(ThreadExit):  # all threads were interrupted: the process ends
        while True:
            _event.acquire()
            _lose_patience(_signo, _patient_until)


def _patience():
    return _bough.ladder_get(0)[0] / 1e9 * PATIENCE


def _lose_patience(signo, until):
    """Interrupt threads, unless another signal has come meanwhile. Threads that wait at a lock come last: the lock's holder delays
    them, and code that an exception ends at a lock may leave another lock held."""
    _sleep_until(until)
    if not _keeps_main(signo, until):
        return
    for thread in _others():
        if not _waits_at_lock(thread):
            _interrupt(thread)
    _sleep_until(until + _patience())
    if not _keeps_main(signo, until):
        return
    if signo != signal.SIGINT:
        _signals.interrupt_all(signal.Signals(signo).name, signo)
    else:
        _signals.interrupt_all("the main thread has not ended after a Ctrl-C")


def _sleep_until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


def _keeps_main(signo, until):
    """Is main still on the way out that the signal has begun?"""
    return until == _patient_until and (signo != signal.SIGINT or _bough.handles_ctrl_c(threading.main_thread().ident))


def _waits_at_lock(thread):
    try:
        return _bough.waits_at_lock(thread.ident)
    except (ValueError, threading.ThreadError):
        return True  # the thread has just ended


def _is_on_way_out():
    return time.monotonic() < _on_way_out_until


def _join(original):
    @_own.without_frames
    def join(self, timeout=None):
        global _on_way_out_until
        if timeout is not None or not _is_on_way_out() or threading.current_thread() is not threading.main_thread():
            return original(self, timeout)
        original(self, max(0.0, _patient_until - time.monotonic()))
        if self.is_alive():
            _interrupt(self)
            original(self)
        _on_way_out_until = max(_on_way_out_until, time.monotonic() + _patience())

    return join


def _interrupt(thread):
    """Interrupt a thread once: a second record would interrupt the thread's cleanup. The record is the signal's, so the ladder ends
    the process if the thread does not heed it."""
    with _interrupting:
        if _signals.has_interrupted_all() or thread in _interrupted:
            return
        _interrupted.add(thread)
    try:
        _signals.pass_on(_bough.handle_of(thread.ident), _signo)
    except (ValueError, threading.ThreadError):
        pass  # the thread has just ended


def _interrupted_threads():
    while True:
        try:
            return list(_interrupted)
        except RuntimeError:
            pass  # the watching thread has added one meanwhile


# ---- the end of main ----------------------------------------------------------------------------------------------------


class of_main:
    """`with of_main() as end:` around the program. Set `end.raised` if an exception, which was reported, has ended the program."""

    raised = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            _end(self.raised or kind is not None)
        except KeyboardInterrupt:
            _signals.pass_on(0)  # another Ctrl-C: the next rung


def _end(raised):
    global _on_way_out_until
    if not _bough.opted_in():
        return
    signo, on_way_out = _bough.unhandled_signal(), _is_on_way_out()
    if on_way_out and not raised:
        _wait(_others(False), _patient_until)
        _on_way_out_until = float("inf")  # for pools, which are shut down after main's end
    _wait(_interrupted_threads(), time.monotonic() + _patience())
    if signo:
        _signals.interrupt_all(signal.Signals(signo).name, signo)
    elif raised:
        _signals.main_has_raised()
    elif on_way_out and _others():
        _signals.interrupt_all("the main thread has ended after a Ctrl-C")
    if _signals.has_interrupted_all():
        _wait(_others(True), time.monotonic() + _patience())


def _others(*daemon):
    """The threads that the program has started: all, only daemons (True), or only the others (False)."""
    main = threading.main_thread()
    wanted = daemon or (True, False)
    return [t for t in threading.enumerate() if t is not main and t.daemon in wanted and not _plain.is_service(t)]


def _wait(threads, until):
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
