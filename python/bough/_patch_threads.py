# SPDX-License-Identifier: MIT
"""The replaced methods of threading's classes, and the two exception hooks.

They keep threading's promises when an interrupt ends a wait: a thread that runs is not marked as ended, and no notification is
lost. A thread that has not opted in gets the original, after one check.
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
                            self.notify()  # the notification came to this interrupted waiter: pass it on

    return wait


# ---- join ---------------------------------------------------------------------------------------------------------------


def _wait_for_tstate_lock(original):
    """Up to Python 3.12. The original marks a thread as ended if an exception ends the wait: an interrupt's or, in main, that of a
    signal handler."""

    @_own.without_frames
    @wraps(original)
    def wait_for_tstate_lock(self, block=True, timeout=-1):
        lock = self._tstate_lock
        if lock is None or not (_bough.takes_part() or threading.current_thread() is threading.main_thread()):
            return original(self, block, timeout)
        try:
            if lock.acquire(block, timeout):
                with _bough.critical_section():
                    _release(lock)
                    self._stop()
        except BaseException:
            # A signal's exception may have come after acquire() took the lock. A thread releases this lock as its last act: if the
            # thread is gone and the lock is held, the caller holds it, or another thread that is about to release it.
            if lock.locked() and not _bough.has_state(self.ident):
                _release(lock)
                self._stop()
            raise

    return wait_for_tstate_lock


def _release(lock):
    try:
        lock.release()
    except RuntimeError:
        pass  # another thread that joins has released it


class _End:
    """The end of a thread. A thread that waits for the end takes the lock and releases it. Once the thread has ended, any thread
    releases the lock, also for a thread that took it and got a signal's exception."""

    def __init__(self):
        self.lock, self.is_over = threading.Lock(), False
        self.lock.acquire()

    def comes(self):
        self.is_over = True
        _release(self.lock)

    def wait(self, timeout):
        """Returns whether the thread has ended."""
        try:
            return self.lock.acquire() if timeout is None else self.lock.acquire(timeout > 0, timeout if timeout > 0 else -1)
        finally:
            if self.is_over:
                _release(self.lock)


def _with_own_lock(original):
    """From 3.13 on join() waits inside the interpreter, where no interrupt can end the wait. So it first waits for this lock."""

    @wraps(original)
    def _bootstrap_inner(self):
        self._bough_end = end = _End()
        try:
            original(self)
        finally:
            end.comes()

    return _bootstrap_inner


def _end_of(thread, join):
    """The thread's end. If the thread began before opt_in(), a new helper thread joins it. None if no helper can be started."""
    end = getattr(thread, "_bough_end", None)
    if end is not None:
        return end
    end = _End()
    with _bough.critical_section():
        try:
            threading.Thread(target=lambda: (join(thread), end.comes()), name="bough-join", daemon=True).start()
        except (RuntimeError, MemoryError):
            return None
        thread._bough_end = end
    return end


STEP = 0.05


def _join_in_steps(thread, join, timeout):
    """Join without a helper thread: check for an interrupt after each step."""
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
        end = _end_of(self, original)
        if end is None:
            return _join_in_steps(self, original, timeout)
        if not end.wait(timeout):
            return None
        with _bough.critical_section():
            return original(self)

    return join


# ---- exceptions that end a thread, or can't be raised ---------------------------------------------------------------------


def _silent_about_thread_exit(original):
    @wraps(original)
    def excepthook(args, /):
        if args.exc_type is None or not issubclass(args.exc_type, ThreadExit):
            original(args)

    return excepthook


def _rearm_swallowed(original):
    """Raise an interrupt's exception again that a finalizer or C code has swallowed (rule 44), or that comes during the report of
    another exception."""

    @wraps(original)
    def unraisablehook(unraisable, /):
        if unraisable.exc_value is not None and _bough.rearm(unraisable.exc_value):
            return
        try:
            original(unraisable)
        except BaseException as error:  # the interpreter would report this exception as unraisable, too
            if not _bough.rearm(error):
                raise

    return unraisablehook
