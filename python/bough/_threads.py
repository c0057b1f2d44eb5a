# SPDX-License-Identifier: MIT
"""Threads that can be interrupted, and the functions that interrupt them."""
import sys
import threading

from bough import _bough, _check, _process  # noqa: F401, _process has to be loaded before the first thread
from bough._exceptions import NotAliveError, ThreadExit  # noqa: F401, old pickles name bough._threads.ThreadExit
from bough._own import without_frames
from bough._run import Run

__all__ = [
    "Thread",
    "ProtectedThread",
    "interrupt",
    "interrupt_all_threads",
    "raise_exc",
    "terminate",
    "on_interrupt",
    "set_enable_io_interrupt",
    "set_enable_async_interrupt",
]


def _opt_in():
    from bough import _patch_stdlib  # loaded when the first thread needs it

    _patch_stdlib.opt_in()


def _own_flag(attribute, doc):
    def get(self):
        return getattr(self, attribute)

    def set(self, on):
        if self.ident is not None and self is not threading.current_thread() and self.is_alive():
            raise RuntimeError("the interrupt flags of a thread must be set before start() or by the thread itself")
        setattr(self, attribute, bool(on))
        if self is threading.current_thread():
            _apply_flags(self)

    return property(get, set, doc=doc)


def _apply_flags(thread):
    _bough.set_asynchronous(thread._async)
    _bough.set_taking_part(thread._io or thread._async)


@without_frames
class Thread(threading.Thread):
    """A threading.Thread that can be interrupted: at `check_interrupt()`; in blocking calls with `enable_io_interrupt`;
    anywhere with `enable_async_interrupt`. `raise_exc()` and `terminate()` need none of these flags and reach the thread
    anywhere but in critical sections."""

    __module__ = "bough"

    _starts_disabled = False
    _io = False
    _async = False

    _before_start = None  # the reasons of interrupts before start()

    enable_io_interrupt = _own_flag("_io", "Whether interrupts end the thread's blocking calls.")
    enable_interrupt_io = _own_flag("_io", "The same as enable_io_interrupt.")
    enable_async_interrupt = _own_flag("_async", "Whether interrupts may come anywhere in the thread's code, not only at interruption points.")

    def start(self):
        """Start the thread, as threading.Thread.start() does. The first one opts in."""
        if getattr(self, "_target", None) is not None:
            _check.function("Thread target", self._target)
        _check.function("Thread.run()", self.run)
        _opt_in()
        starts = object()
        if vars(self).setdefault("_starts", starts) is not starts:
            raise RuntimeError("threads can only be started once")  # threading's error: another thread starts this one
        try:
            self._start()
        finally:
            del self._starts

    def _start(self):
        if self._started.is_set():
            return super().start()  # raises an error, and the thread may be about to read its run()
        vars(self)["run"] = _bough.around(Run(self, self.run))
        try:
            super().start()
        except BaseException:
            if self.ident is None and self not in threading._limbo:  # else it runs: a Ctrl-C has ended only the wait for that
                vars(self).pop("run", None)
            raise

    def interrupt(self, reason=None):
        """Ask the thread to stop. The interrupt stays pending until the thread has ended or clears it. Before start() it takes
        effect at the start; if the thread has ended, it does nothing."""
        reason = _check.reason("Thread.interrupt()", reason)
        if self._before_start is None:
            self._before_start = vars(self).setdefault("_before_start", [])  # the same list for two threads
        if self.ident is None:
            self._before_start.append(reason)
            if self.ident is None:
                return
            try:
                self._before_start.remove(reason)
            except ValueError:
                return  # the thread has started meanwhile, and taken the reason from the list
        try:
            _bough.interrupt_thread(_check.thread("Thread.interrupt()", self), reason)
        except NotAliveError:
            if self.is_alive():
                raise

    def _post_what_came_before(self):
        while self._before_start:
            try:
                reason = self._before_start.pop(0)
            except IndexError:
                return  # its poster has taken it back
            _bough.interrupt_thread(_bough.id_of(threading.get_ident()), reason)

    def raise_exc(self, exc):
        """Raise `exc`, a class or that very instance, in this thread, wherever the thread is."""
        raise_exc(self, exc)

    def terminate(self):
        """raise_exc(SystemExit): the thread ends silently, unless it catches that exception."""
        self.raise_exc(SystemExit)

    def isAlive(self):
        """The name of is_alive() in Python 2."""
        return self.is_alive()


class ProtectedThread(Thread):
    """A Thread that can be interrupted only in `with allow_interruption:` blocks, and there as its flags say."""

    __module__ = "bough"

    _starts_disabled = True


# ---- posting -------------------------------------------------------------------------------------------------------


@without_frames
def interrupt(thread, reason=None):
    """Ask a thread to stop: any threading.Thread, its name or its ident. A plain thread is interrupted at `check_interrupt()`,
    and is reported as overdue if it does not call that; after `opt_in(threads=True)` its blocking calls are interrupted as well.
    Raises NotAliveError if the thread has ended, or was not started."""
    number = _check.thread("interrupt() thread", thread)
    reason = _check.reason("interrupt()", reason)
    _opt_in()
    _bough.interrupt_thread(number, reason)


@without_frames
def interrupt_all_threads(reason=None):
    """Interrupt every thread that bough knows, except the caller. Returns their number."""
    reason = _check.reason("interrupt_all_threads()", reason)
    _opt_in()
    return _bough.interrupt_all(reason)


def _instance(exc):
    given = exc
    if exc is SystemExit:
        exc = SystemExit()
        exc._bough_terminates = True  # to a branch's child it is a stop, not a failure
    elif isinstance(exc, type) and issubclass(exc, BaseException):
        try:
            exc = exc()
        except TypeError as error:
            advice = "Give an instance: this class can't be called without arguments"
            raise _check.error(TypeError, "raise_exc() exc", "an exception", given, advice) from error
    if not isinstance(exc, BaseException):
        raise _check.error(TypeError, "raise_exc() exc", "an exception, a class or an instance", given)
    return exc


@without_frames
def raise_exc(thread, exc):
    """Raise `exc`, a class or that very instance, in a thread, which is given as an object, a name or an ident: in its blocking
    call if it has opted in, else between its bytecodes. Raises NotAliveError if the thread has ended, or was not started."""
    exc, number = _instance(exc), _check.thread("raise_exc() thread", thread)
    _opt_in()
    _bough.raise_in(number, exc)


@without_frames
def terminate(thread):
    """raise_exc(thread, SystemExit)."""
    exc, number = _instance(SystemExit), _check.thread("terminate() thread", thread)
    _opt_in()
    _bough.raise_in(number, exc)


@without_frames
def set_enable_io_interrupt(on=True):
    """Set whether interrupts end the calling thread's blocking calls; any thread may call this. The setting holds from here on, or
    for a block by `with set_enable_io_interrupt(on):`. A setting of a branch's body, a child or a work item ends with it."""
    _opt_in()
    return _bough.switch_taking_part(bool(on))


@without_frames
def set_enable_async_interrupt(on=True):
    """Set whether interrupts may come anywhere in the calling thread's code; any thread may call this. The setting holds from here
    on, or for a block by `with set_enable_async_interrupt(on):`."""
    _opt_in()
    return _Async(bool(on))


class _Async:
    """The thread that made this object was switched then, not when it enters the block; another thread is switched as it enters."""

    def __init__(self, on):
        self._on, self._open = on, {}  # thread's handle -> its settings before, the innermost last
        self._made = _bough.self_handle(), _bough.set_asynchronous(on)

    def __repr__(self):
        return "<bough.set_enable_async_interrupt>"

    def __enter__(self):
        me, (maker, before) = _bough.self_handle(), self._made
        if maker == me:
            self._made = None, None
        else:
            before = _bough.set_asynchronous(self._on)
        self._open.setdefault(me, []).append(before)
        return self

    def __exit__(self, *error):
        me = _bough.self_handle()
        if me not in self._open:
            raise RuntimeError("set_enable_async_interrupt() must be left by the thread that entered it")
        _bough.set_asynchronous(self._open[me].pop())
        if not self._open[me]:
            del self._open[me]


# ---- callbacks -------------------------------------------------------------------------------------------------------


@without_frames
class on_interrupt:
    """with on_interrupt(callback): while the block runs, `callback()` is called when the thread is interrupted.

    The callback runs on a separate thread, so it may end the block's work from outside: cancel a query, close a connection,
    notify a device. It has `deadline` seconds (5 unless given), counted from the interrupt. Until then bough does not interrupt
    the block's calls. At the deadline, or as soon as the callback raises an exception, they are interrupted as usual. Either is
    reported to the logger "bough".

    If the callback makes a call of the block fail, the error counts as the interrupt, as the error of an interrupted call does.
    """

    __module__ = "bough"

    def __init__(self, callback, *, deadline=5.0):
        self.callback = _check.function("on_interrupt() callback", callback)
        self.deadline = _check.seconds("on_interrupt() deadline", deadline, below=threading.TIMEOUT_MAX)
        self._open = {}  # thread's ident -> its blocks, the innermost last

    def __repr__(self):
        return f"<bough.on_interrupt: {_check.shown(self.callback)}>"

    def __enter__(self):
        _opt_in()
        block, frame = _Block(self.callback, self.deadline), sys._getframe(1)
        try:
            self._open.setdefault(threading.get_ident(), []).append(block)
            block.begin(frame)
        except BaseException:
            self._end(block, None)
            raise
        return self

    def __exit__(self, *error):
        ending = []
        try:
            self._leave(ending, error[1])
        except BaseException:  # a Ctrl-C may have come before the end
            self._leave(ending, error[1])
            raise

    def _leave(self, ending, error):
        """May be called again after an exception. `ending` gets the block."""
        if not ending:
            blocks = self._open.get(threading.get_ident())
            if not blocks:
                raise RuntimeError("on_interrupt() must be left by the thread that entered it")
            ending.append(blocks[-1])
        self._end(ending[0], error)

    def _end(self, block, error):
        """May be called again after an exception."""
        block.end(error)
        blocks = self._open.get(threading.get_ident(), [])
        if block in blocks:
            blocks.remove(block)
        if not blocks:
            self._open.pop(threading.get_ident(), None)


class _Block:
    """A block of on_interrupt() that a thread has entered. A Ctrl-C may come between any two of its steps."""

    def __init__(self, callback, deadline):
        self.callback, self.deadline = callback, deadline
        self.handles, self.outer = [], []  # each has one item while that is set
        self.timers = []

    def begin(self, frame):
        _bough.callback_begin(frame, self.handles)
        self.outer.append(_bough.get_on_due())  # first: due() may be called before set_on_due() has returned
        _bough.set_on_due(self.due)

    def end(self, error):
        """May be called again after an exception."""
        try:
            if self.outer:
                _bough.set_on_due(self.outer[0])
        finally:
            _bough.callback_end(self.handles, error)
            for timer in self.timers:
                timer.cancel()

    @property
    def handle(self):
        """(0, 0) stands for a block that has ended."""
        return next(iter(self.handles), (0, 0))

    def due(self):
        """Called on the async thread, which must not wait."""
        if self.outer[0] is not None:
            self.outer[0]()
        self.start(threading.Thread(target=self.run, name="bough-on-interrupt", daemon=True))

    def start(self, thread):
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # no thread can be started, or the interpreter ends (from 3.12 on)
            _bough.callback_is_late(self.handle)

    def run(self):
        timer = threading.Timer(self.deadline, self.late)
        timer.daemon, timer.returned = True, False
        timer.args = (timer,)
        timer.name = "bough-on-interrupt-deadline"
        self.timers.append(timer)
        self.start(timer)
        if not _bough.callback_runs(self.handle, True):
            return timer.cancel()  # the block has ended meanwhile
        try:
            self.callback()
        except BaseException as error:
            _log().error("on_interrupt: %r has failed: the calls of its block are interrupted", self.callback, exc_info=error)
            _bough.callback_is_late(self.handle)
        timer.returned = True
        _bough.callback_runs(self.handle, False)

    def late(self, timer):
        if not timer.returned:
            _log().warning("on_interrupt: %r has not come back in %g s", self.callback, self.deadline)
        _bough.callback_is_late(self.handle)


def _log():
    import logging

    return logging.getLogger("bough")
