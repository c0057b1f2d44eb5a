# SPDX-License-Identifier: MIT
"""The replaced functions of modules that a program may import later, and of extension modules.

They keep the modules' promises when an interrupt ends a call: a child process is not lost, a condition's lock is taken again, and
the interrupt's exception takes the place of the module's error. A thread that has not opted in gets the original, after one check.
"""
import importlib
import os
import signal
import sys
from functools import partial, wraps
from importlib.machinery import ExtensionFileLoader

from bough import _bough, _own, _replace
from bough._exceptions import consists_of, is_a_stop

INTERPRETERS = "_interpreters _xxsubinterpreters"  # the first one from Python 3.13 on


def patch():
    _replace.replace(signal, "pause", _raise_if_interrupted)
    _errors_of_modules()
    for module in INTERPRETERS.split():
        if module in sys.builtin_module_names:
            importlib.import_module(module)


# ---- errors of extension modules ---------------------------------------------------------------------------------------

# Otherwise an interrupted TLS read would look like the end of the stream, and an interrupted lookup like an unknown host.
_ERRORS = {
    "_socket": ("gaierror", "herror"),
    "_ssl": (
        "SSLError",
        "SSLZeroReturnError",
        "SSLWantReadError",
        "SSLWantWriteError",
        "SSLSyscallError",
        "SSLEOFError",
    ),
    "_sqlite3": ("OperationalError", "DatabaseError"),
}


def _replace_errors_of(module):
    """Replace the errors of a module, if it is loaded and _ERRORS has any of it."""
    for name in _ERRORS.get(module, ()):
        error = getattr(sys.modules.get(module), name, None)
        if error is not None:
            _bough.replace_error(error)


def _exec_module(original):
    """Interpose the blocking calls of a new module before its code runs, and replace its errors right after that: the thread that
    imports the module may have opted in."""
    return _replace.around(original, before=_bough.rescan, after=lambda loader, module: _replace_errors_of(module.__name__))


def _errors_of_modules():
    _replace.replace(ExtensionFileLoader, "exec_module", _exec_module)
    for module in _ERRORS:
        if module in sys.builtin_module_names:
            importlib.import_module(module)
        _replace_errors_of(module)


# ---- subinterpreters -----------------------------------------------------------------------------------------------------


def _away(original):
    """For a function that executes code in another interpreter. No interrupt ends that: bough's exceptions belong to this one."""

    @wraps(original)
    def away(*args, **kwargs):
        return _bough.call_away(original, args, kwargs)

    return away


def _replace_what_enters_interpreters(module):
    for name in ("call", "create", "destroy", "exec", "run_func", "run_string"):
        if hasattr(module, name):
            _replace.replace(module, name, _away)


# ---- child processes ---------------------------------------------------------------------------------------------------


def _subprocess(module):
    _replace.replace(module.Popen, "__init__", lambda original: _replace.around(original, uninterruptible=True))
    _replace.replace(module.Popen, "__exit__", _popen_exit)


def _popen_exit(original):
    """A block that an interrupt ends does not wait for the end of the process, which may not have been asked to end. The original
    waits at most 0.25 s after a KeyboardInterrupt, so it gets one for any interrupt. That wait is cleanup."""

    @wraps(original)
    def __exit__(self, kind, value, trace):
        if value is None or not _bough.takes_part() or not consists_of(value, is_a_stop):
            return original(self, kind, value, trace)
        with _bough.cleanup():
            self._wait = partial(_wait_for_event, self, self._wait)
            try:
                return original(self, KeyboardInterrupt, value, trace)
            finally:
                del self._wait

    return __exit__


def _wait_for_event(process, original, timeout):
    """Wait for a pidfd. The original with a timeout calls waitpid() again and again, and sleeps up to 50 ms in between."""
    import select

    try:
        fd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return original(timeout=timeout)  # an older kernel, or another thread has reaped the process
    try:
        event = select.poll()
        event.register(fd, select.POLLIN)
        event.poll(None if timeout is None else timeout * 1000)
    finally:
        os.close(fd)
    return original(timeout=timeout if timeout is None else 0)


# ---- calls that return what libc returned ------------------------------------------------------------------------------


def _raise_if_interrupted(original):
    """For a call that returns an error number, or nothing, if it is interrupted: the interrupt's exception is raised here."""

    @wraps(original)
    def call(*args):
        result = original(*args)
        if _bough.takes_part():
            _bough.meet_cut()
        return result

    return call


def _socket(module):
    _replace.replace(module.socket, "connect_ex", _raise_if_interrupted)


# ---- locks that processes share --------------------------------------------------------------------------------------------


def _process_condition_wait(original):
    """For multiprocessing's Condition. The caller will release the lock, so taking it again is not interrupted."""

    @_own.without_frames
    @wraps(original)
    def wait(self, timeout=None):
        if not _bough.takes_part() or not self._lock._semlock._is_mine():
            return original(self, timeout)
        count = self._lock._semlock._count()
        self._sleeping_count.release()
        for _ in range(count):
            self._lock.release()
        try:
            return self._wait_semaphore.acquire(True, timeout)
        finally:
            with _bough.critical_section():
                self._woken_count.release()
                for _ in range(count):
                    self._lock.acquire()

    return wait


def _synchronize(module):
    _replace.replace(module.Condition, "wait", _process_condition_wait)


# ---- which function changes which module -----------------------------------------------------------------------------------


def _queue(module):
    _replace.never_interrupt(module, "Queue.shutdown Queue.task_done")


CHANGES = {
    "multiprocessing.synchronize": _synchronize,
    "queue": _queue,
    "socket": _socket,
    "subprocess": _subprocess,
} | dict.fromkeys(INTERPRETERS.split(), _replace_what_enters_interpreters)
