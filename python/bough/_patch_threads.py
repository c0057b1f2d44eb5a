# SPDX-License-Identifier: MIT
"""The replaced methods of threading's classes, and the hooks for exceptions that have nowhere to go.

They keep threading's promises when an interrupt ends a wait: a thread is not taken for ended, a notification is not lost. A
thread that has not opted in gets the original, after one check.
"""
import sys
import threading
import time
from functools import wraps

from bough import _bough, _own, _replace, _signals
from bough._exceptions import ThreadExit


def patch():
    _replace.replace(threading.Condition, "wait", _condition_wait)
    if hasattr(threading.Thread, "_wait_for_tstate_lock"):
        _replace.replace(threading.Thread, "_wait_for_tstate_lock", _wait_for_tstate_lock)
    else:
        _replace.replace_code(threading.Thread, "join", _join_by_own_lock)
        _replace.replace(threading.Thread, "_bootstrap_inner", _with_own_lock)
    _replace.replace(threading, "excepthook", _silent_about_thread_exit)
    _replace.replace(threading, "_shutdown", _signals.before_shutdown)
    _replace.replace(sys, "unraisablehook", _rearm_swallowed)
    _replace.never_interrupt(
        threading,
        "Barrier.abort Barrier.reset BoundedSemaphore.release Condition._acquire_restore Event.clear Event.set "
        "Semaphore.release Thread.start",
    )


# ---- conditions ----------------------------------------------------------------------------------------------------------


def _condition_wait(original):
    @_own.without_frames
    @wraps(original)
    def wait(self, timeout=None):
        if not _bough.takes_part():
            return original(self, timeout)
        if not self._is_owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        waiter = threading._allocate_lock()
        waiter.acquire()
        self._waiters.append(waiter)
        saved = self._release_save()
        notified = cut = False
        try:
            if timeout is None:
                notified = waiter.acquire()
            else:
                notified = waiter.acquire(True, timeout) if timeout > 0 else waiter.acquire(False)
            return notified
        except BaseException:
            cut = True
            raise
        finally:
            self._acquire_restore(saved)
            if not notified:
                with _bough.critical_section():
                    try:
                        self._waiters.remove(waiter)
                    except ValueError:
                        if cut:
                            self.notify()  # it was meant for this waiter, which has been cut: it is the next one's

    return wait


# ---- join ---------------------------------------------------------------------------------------------------------------


def _wait_for_tstate_lock(original):
    """Up to 3.12. The original takes a thread for ended when its wait was ended by an exception: an interrupt, or in main a
    signal's."""

    @_own.without_frames
    @wraps(original)
    def wait_for_tstate_lock(self, block=True, timeout=-1):
        lock = self._tstate_lock
        if lock is None or not (_bough.takes_part() or threading.current_thread() is threading.main_thread()):
            return original(self, block, timeout)
        try:
            if lock.acquire(block, timeout):
                with _bough.critical_section():
                    lock.release()
                    self._stop()
        except BaseException:
            # A signal's exception may have come when the lock was taken already. Who ends gives it away with its last act.
            if lock.locked() and not _bough.has_state(self.ident):
                lock.release()
                self._stop()
            raise

    return wait_for_tstate_lock


def _with_own_lock(original):
    """From 3.13 on a join waits inside the interpreter, where nothing can be cut: so first for a lock of ours."""

    @wraps(original)
    def _bootstrap_inner(self):
        self._bough_ends = threading.Lock()
        self._bough_ends.acquire()
        try:
            original(self)
        finally:
            self._bough_ends.release()

    return _bootstrap_inner


def _lock_of_end(thread, join):
    """Released when the thread has ended. For one that began before we were there, somebody has to wait in our place; None: no
    thread can be started for that."""
    lock = getattr(thread, "_bough_ends", None)
    if lock is not None:
        return lock
    lock = threading.Lock()
    lock.acquire()
    with _bough.critical_section():
        try:
            threading.Thread(target=lambda: (join(thread), lock.release()), name="bough-join", daemon=True).start()
        except (RuntimeError, MemoryError):
            return None
        thread._bough_ends = lock
    return lock


STEP = 0.05


def _join_in_steps(thread, join, timeout):
    """Without a thread that waits in our place: an interrupt is met at the next step."""
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = STEP if until is None else until - time.monotonic()
        join(thread, min(left, STEP))
        if left <= 0 or not thread.is_alive():
            return
        _bough.check_interrupt()


def _join_by_own_lock(original):
    @_own.without_frames
    @wraps(original)
    def join(self, timeout=None):
        if not _bough.takes_part() or not self.is_alive() or self is threading.current_thread():
            return original(self, timeout)
        lock = _lock_of_end(self, original)
        if lock is None:
            return _join_in_steps(self, original, timeout)
        got = lock.acquire() if timeout is None else lock.acquire(timeout > 0, timeout if timeout > 0 else -1)
        if not got:
            return None
        lock.release()
        with _bough.critical_section():
            return original(self)

    return join


# ---- exceptions that have nowhere to go -----------------------------------------------------------------------------------


def _silent_about_thread_exit(original):
    @wraps(original)
    def excepthook(args, /):
        if args.exc_type is None or not issubclass(args.exc_type, ThreadExit):
            original(args)

    return excepthook


def _rearm_swallowed(original):
    """Swallowed in a finalizer or by C code, it comes again (rule 44); also where another one is reported."""

    @wraps(original)
    def unraisablehook(unraisable, /):
        if unraisable.exc_value is not None and _bough.rearm(unraisable.exc_value):
            return
        try:
            original(unraisable)
        except BaseException as error:  # the interpreter would try to report this one, too
            if not _bough.rearm(error):
                raise

    return unraisablehook
