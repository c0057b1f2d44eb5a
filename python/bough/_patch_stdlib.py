# SPDX-License-Identifier: MIT
"""Opting in: which parts of the standard library bough replaces and restores.

Blocking calls need nothing here, the C side cuts them. What is here keeps the standard library's own promises when a call
of it raises where it never did: a thread is not taken for ended, a notification not eaten, a child process not lost. A thread
that does not take part gets the original, after one look.
"""
import importlib
import os
import signal
import sys
import threading
import time
from functools import partial, wraps
from importlib.machinery import ExtensionFileLoader

from bough import _bough, _check, _green, _own, _process, _replace, _signals
from bough._exceptions import ThreadExit, consists_of, is_a_stop
from bough._own import without_frames

_lock = threading.RLock()
_opted_in = False  # completely
_more = set()  # of _MORE: what the program has asked for besides


@without_frames
def opt_in(*, pools=False, threads=False):
    """Interpose blocking calls and replace the parts of the standard library that bough's threads need. The first Thread, branch
    or post does this automatically.

    pools: opt in all thread pools as well. Future.cancel() then interrupts a running item.
    threads: opt in plain threads as well. An interrupt then ends the blocking calls of each threading.Thread that is started
    later.

    All of this stays in effect until opt_out(). Returns whether the call has changed anything. If a step fails, the call undoes
    its changes and raises the exception."""
    global _opted_in
    wanted = {name for name, on in (("pools", pools), ("threads", threads)) if _check.flag(f"opt_in() {name}", on)}
    if _opted_in and wanted <= _more:
        _green.refuse_patches()
        if _replace.are_late():
            _replace.change_late()
        _signals.take_part_in_new_process()
        return False
    with _lock:
        _green.refuse_patches()
        first = _bough.opt_in()
        if not (first or _opted_in) or not (first or wanted - _more):
            return False  # done by another thread, or being done further out in this one
        try:
            if first:
                _patch_all()
                _signals.take_part()
            with _replace.all_or_none():
                for name in sorted(wanted - _more):
                    _MORE[name]()
        except BaseException:
            if first:
                _put_back()
            raise
        _more.update(wanted)
        _opted_in = True
    return True


@without_frames
def opt_out():
    """Restore everything that opt_in() has replaced. Running threads and branches go on, and interrupts no longer end their
    blocking calls. If an address can't be restored, nothing is changed, and RuntimeError is raised."""
    global _opted_in
    with _lock:
        if not _bough.opted_in():
            return False
        _opted_in = False
        try:
            _put_back()
        finally:
            _opted_in = _bough.opted_in()
            if not _opted_in:
                _more.clear()
    return True


def _put_back():
    """The first step is the only one that can fail."""
    _bough.opt_out()
    try:
        _replace.undo_all()
    finally:
        _signals.leave()


def _interpreter_ends():
    """The standard library is as it was. Blocking calls of threads that run on are interrupted as before."""
    with _lock:
        _replace.undo_all()
        _signals.interpreter_ends()


_process.at_interpreter_end(_interpreter_ends)


_INTERPRETERS = "_interpreters _xxsubinterpreters"  # the first from Python 3.13 on

# Modules that are changed when they are imported, or now if the program has imported them already; and by which file.
_POOLS = "concurrent.futures._base concurrent.futures.thread multiprocessing.pool"
_CHANGED_BY = {
    "_patch_stdlib": f"multiprocessing.synchronize queue socket subprocess {_INTERPRETERS}",
    "_futures": _POOLS,
    "_green": "eventlet.patcher gevent.events",
    "_loops": (
        "asyncio.base_events gevent.hub gi.overrides.GLib gi.overrides.Gio trio._core._io_epoll trio._core._run trio._threads "
        "twisted.internet.base twisted.python.failure uvloop"
    ),
}


def _follow(changed_by):
    _replace.follow_imports({name: f"bough.{file}" for file, names in changed_by.items() for name in names.split()})


def _plain_threads():
    from bough import _plain  # loaded only where it is asked for

    _plain.take_part()


_MORE = {"pools": lambda: _follow({"_pools": _POOLS}), "threads": _plain_threads}


def _patch_all():
    _replace.replace(threading.Condition, "wait", _condition_wait)
    if hasattr(threading.Thread, "_wait_for_tstate_lock"):
        _replace.replace(threading.Thread, "_wait_for_tstate_lock", _wait_for_tstate_lock)
    else:
        _replace.replace_code(threading.Thread, "join", _join_by_own_lock)
        _replace.replace(threading.Thread, "_bootstrap_inner", _with_own_lock)
    _replace.replace(signal, "pause", _meeting_cut)
    _replace.replace(threading, "excepthook", _silent_about_thread_exit)
    _replace.replace(threading, "_shutdown", _signals.before_shutdown)
    _replace.replace(sys, "unraisablehook", _rearm_swallowed)
    _replace.never_interrupt(
        threading,
        "Barrier.abort Barrier.reset BoundedSemaphore.release Condition._acquire_restore Event.clear Event.set "
        "Semaphore.release Thread.start",
    )
    _errors_of_modules()
    for module in _INTERPRETERS.split():
        if module in sys.builtin_module_names:
            importlib.import_module(module)
    _follow(_CHANGED_BY)


# ---- errors of extension modules ---------------------------------------------------------------------------------------

# An interrupted read of TLS looks like its end, were it not for this, and an interrupted lookup like a host that is not known.
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
    """A module's, if it has any, and is there."""
    for name in _ERRORS.get(module, ()):
        error = getattr(sys.modules.get(module), name, None)
        if error is not None:
            _bough.replace_error(error)


def _exec_module(original):
    """A module that was loaded just now is cut from its first call on, and its errors are replaced as soon as they are there:
    a thread that takes part may be the one that imports it."""
    return _replace.around(original, before=_bough.rescan, after=lambda loader, module: _replace_errors_of(module.__name__))


def _errors_of_modules():
    _replace.replace(ExtensionFileLoader, "exec_module", _exec_module)
    for module in _ERRORS:
        if module in sys.builtin_module_names:
            importlib.import_module(module)
        _replace_errors_of(module)


# ---- subinterpreters -----------------------------------------------------------------------------------------------------


def _away(original):
    """Executes code in another interpreter, where nothing may be interrupted: what bough raises belongs to this one."""

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
    """Left by an interrupt, the block does not wait until the process has ended, which nobody may have asked it to. For a
    KeyboardInterrupt the original waits 0.25 s and goes on, so it gets one here. That wait is cleanup."""

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
    """The original looks, sleeps for 1 ms, looks again, and so on."""
    import select

    try:
        fd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return original(timeout=timeout)  # an older system, or another thread has waited for the process
    try:
        event = select.poll()
        event.register(fd, select.POLLIN)
        event.poll(None if timeout is None else timeout * 1000)
    finally:
        os.close(fd)
    return original(timeout=timeout if timeout is None else 0)


# ---- calls that return what libc returned ------------------------------------------------------------------------------


def _meeting_cut(original):
    """The interrupted call says so by its result, or not at all."""

    @wraps(original)
    def call(*args):
        result = original(*args)
        if _bough.takes_part():
            _bough.meet_cut()
        return result

    return call


def _socket(module):
    _replace.replace(module.socket, "connect_ex", _meeting_cut)


# ---- locks --------------------------------------------------------------------------------------------------------------


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


def _process_condition_wait(original):
    """multiprocessing's. Its caller releases the lock: it is not interrupted while it takes the lock again."""

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


# ---- modules that the program may import later ----------------------------------------------------------------------------


def _queue(module):
    _replace.never_interrupt(module, "Queue.shutdown Queue.task_done")


CHANGES = {
    "multiprocessing.synchronize": _synchronize,
    "queue": _queue,
    "socket": _socket,
    "subprocess": _subprocess,
} | dict.fromkeys(_INTERPRETERS.split(), _replace_what_enters_interpreters)


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


# ---- report -----------------------------------------------------------------------------------------------------------------

NOT_COVERED = (
    ("os.system()", "is left alone: subprocess.run() is interruptible"),
    ("calls through ctypes and cffi", "their addresses are looked up by hand"),
    ("a long computation in C, such as sum(range(10**9))", "comes to no bytecode and no call"),
    ("another thread's hold of a buffered file", "io waits for it inside the interpreter"),
    ("what a buffered read has gathered by several reads", "is dropped with the exception, as by any: io keeps it nowhere"),
    ("sqlite3's wait for another's lock", "in connections that were opened before the opt-in, and after PRAGMA busy_timeout"),
    ("condition variables, semaphores and joins in C code", "most of it aborts if they fail"),
    ("fsync(), a dead NFS server, disks", "the kernel lets nobody interrupt it"),
    ("event loops of Qt and Tk", "bough does not know how to end them"),
    ("threads that have not opted in", "by their own wish"),
)


@without_frames
def report():
    """A dict of what bough covers in this interpreter, what it does not cover, and why. `str()` makes readable text of it."""
    slots = [(name or "the program", symbol or "", state, why or "") for name, symbol, state, why in _bough.slots()]
    in_or_out = _bough.lock_methods()
    return Report(
        opted_in=_bough.opted_in(),
        pools="pools" in _more,
        threads="threads" in _more,
        interposed=sorted({(name, symbol) for name, symbol, state, _ in slots if state == "interposed"}),
        hooked=sorted({(name, symbol) for name, symbol, state, _ in slots if state == "hooked"}),
        skipped=sorted({(name, symbol, why) for name, symbol, state, why in slots if state == "skipped"}),
        methods=[name for name, wrapped in in_or_out if wrapped],
        methods_not_wrapped=[name for name, wrapped in in_or_out if not wrapped],
        errors=_bough.replaced_errors(),
        replaced=_replace.replaced(),
        kept_stacks=_bough.kept_stacks(),
        not_covered=list(NOT_COVERED),
    )


class Report(dict):
    def __str__(self):
        if not self["opted_in"]:
            return "bough: nothing is patched. The first Thread, branch or interrupt opts in."
        by_object = {}
        for name, symbol in self["interposed"]:
            by_object.setdefault(name, []).append(symbol)
        lines = ["bough: blocking calls that are cut, by object:"]
        lines += [f"  {name}: {', '.join(symbols)}" for name, symbols in by_object.items()]
        own = sorted({symbol for _, symbol in self["hooked"]})
        lines += ["waits of C code that never fail, and what asks for signals: " + ", ".join(own)]
        lines += ["methods that wait interruptibly: " + ", ".join(self["methods"])]
        if self["methods_not_wrapped"]:
            lines += ["methods that do not: " + ", ".join(self["methods_not_wrapped"])]
        lines += ["errors that become the interrupt's exception: " + ", ".join(self["errors"])]
        lines += ["replaced in the standard library: " + ", ".join(self["replaced"])]
        lines += [f"memory for the frames of threads that have ended: {self['kept_stacks']} blocks of 16 kB are kept for new threads"]
        lines += ["pools of threads: " + ("their items are interrupted" if self["pools"] else "as without bough, see opt_in(pools=)")]
        lines += ["plain threads: " + ("their blocking calls are cut" if self["threads"] else "as without bough, see opt_in(threads=)")]
        lines += [f"left alone: {symbol} of {name}: {why}" for name, symbol, why in self["skipped"]]
        lines += ["not covered:"] + [f"  {what}: {why}" for what, why in self["not_covered"]]
        return "\n".join(lines)
