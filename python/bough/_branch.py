# SPDX-License-Identifier: MIT
"""Branches: a with block that owns threads.

The block's end joins every child, and on the first failure, of a child or of the body, interrupts the others. Errors are
collected: one is raised as it is, several as a MultipleError.
"""
import contextvars
import itertools
import sys
import threading
import time
from errno import ECANCELED, EIO, ETIMEDOUT

from bough import _bough, _stdlib
from bough._threads import ThreadExit

__all__ = ["branch", "Branch", "Child", "MultipleError", "current_child"]

RUNNING, OK, ERROR, INTERRUPTED, NOT_STARTED, LOST = (
    "running",
    "ok",
    "error",
    "interrupted",
    "not started",
    "lost",
)

_counter = itertools.count(1)
_current = threading.local()


class MultipleError(BaseExceptionGroup):
    """Several failures of one branch: `exceptions`, the first one first. For except*. Where all of them are Exceptions it is
    an ExceptionGroup as well."""

    def __new__(cls, message, errors):
        if cls is MultipleError and all(isinstance(error, Exception) for error in errors):
            cls = _MultipleExceptions
        return super().__new__(cls, message, errors)

    def derive(self, errors):
        return MultipleError(self.message, errors)

    @property
    def primary(self):
        """The failure that came first."""
        return self.exceptions[0]


class _MultipleExceptions(MultipleError, ExceptionGroup):
    pass


for _class in (MultipleError, _MultipleExceptions):
    _class.__module__, _class.__qualname__, _class.__name__ = "bough", "MultipleError", "MultipleError"


# ---- children ----------------------------------------------------------------------------------------------------------


def current_child():
    """The Child that the calling code runs in, or None."""
    return getattr(_current, "child", None)


class Child:
    """A thread of a branch.

    name        for messages, the kernel and the tree
    outcome     "running", "ok", "error", "interrupted", "not started" or "lost"
    result      what its function returned, if it did
    exception   what its function raised, if it failed
    """

    def __init__(self, owner, name, fn, args, kwargs, closing):
        self.name = name
        self.outcome = RUNNING
        self.result = self.exception = None
        self.ident = self._handle = None
        self._owner, self._call, self._closing = owner, (fn, args, kwargs), closing
        self._context = contextvars.copy_context()
        self._ended = threading.Event()

    def __repr__(self):
        return f"<bough.Child {self.name!r}: {self.outcome}>"

    def is_alive(self):
        return not self._ended.is_set()

    def join(self, timeout=None):
        """Wait until it has ended. Returns whether it has. An interruption point."""
        return self._ended.wait(timeout)

    def interrupt(self, reason=None):
        """Ask it, and all that branches off it, to stop. One that has ended is left in peace."""
        if self._handle is not None and self.is_alive():
            _bough.interrupt_handle(self._handle, reason)

    def raise_exc(self, exc):
        """Raise `exc`, a class or an instance, in it: that very instance. ValueError: it is not alive."""
        from bough._threads import raise_exc

        if self.ident is None or not self.is_alive():
            raise ValueError(f"{self!r} is not alive")
        raise_exc(self.ident, exc)

    def take(self):
        """Take over what it was to close (`closing=`): returns that, a tuple, and it is not closed any more."""
        closing, self._closing = self._closing, ()
        return closing

    # ---- in the child

    def _run(self):
        """Returns an error number for the library's branch."""
        self.ident = threading.get_ident()
        self._handle = _bough.self_handle()
        with _known_to_threading(self.name):
            _current.child = self
            try:
                code = self._call_function()
                return self._close() or code
            finally:
                _current.child = None
                self._forget()

    def _call_function(self):
        fn, args, kwargs = self._call
        self._call = None
        try:
            with _bough.taking_part(True):
                self.result = self._context.run(fn, *args, **kwargs)
        except ThreadExit:
            self.outcome = INTERRUPTED
            return ECANCELED
        except BaseException as error:
            return self._fail(error)
        finally:
            del fn, args, kwargs
        self.outcome = OK
        return 0

    def _fail(self, error):
        """The traceback begins at the function: our own frames would hold us, and we it."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        error.__traceback__ = trace
        self.outcome = ERROR
        if self.exception is None:
            self.exception = error
        self._owner._child_failed(error)
        _bough.fail(0, EIO, _line(error))
        return EIO

    def _close(self):
        """Once, whatever became of it (rule 21). An error in it is one more failure."""
        code = 0
        for thing in self.take():
            try:
                thing.close()
            except BaseException as error:
                code = self._fail(error)
        return code

    def _forget(self):
        owner, self._owner, self._context = self._owner, None, None
        if owner is not None:
            owner._child_ended()
        self._ended.set()

    def _never_started(self):
        self.outcome = NOT_STARTED
        self._call = None
        self._close()
        self._forget()


class _known_to_threading:
    """So that current_thread(), logging and tracers know the child by its name; and no longer than it runs."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        threading.current_thread().name = self.name
        if threading.gettrace():
            sys.settrace(threading.gettrace())
        if threading.getprofile():
            sys.setprofile(threading.getprofile())

    def __exit__(self, *error):
        with threading._active_limbo_lock:
            threading._active.pop(threading.get_ident(), None)


def _line(error):
    """For the library's own tree of errors, which the command `bough` shows."""
    try:
        return f"{type(error).__name__}: {error}"[:200].encode("utf-8", "replace").replace(b"\0", b"").decode()
    except Exception:
        return type(error).__name__


# ---- the block ------------------------------------------------------------------------------------------------------------


def branch(
    name="branch", *, strict=False, supervisor=False, limit=None, timeout=None, deadline=None
):
    """A block that owns threads: `with branch() as b: b.add(fn, *args)`.

    strict      always raise a MultipleError, also for one failure
    supervisor  a child's failure does not touch the others, nor the block
    limit       at most so many children at a time: add() waits for a place
    timeout     seconds for the whole block, or deadline: a time of time.monotonic(). TimeoutError if it cut something
    """
    return Branch(
        name, strict=strict, supervisor=supervisor, limit=limit, timeout=timeout, deadline=deadline
    )


class Branch:
    """Made by branch().

    interrupted  after the block: a stop of its own ended it
    failures     of a supervisor: what its children raised, the first 64
    """

    def __init__(self, name, *, strict, supervisor, limit, timeout, deadline):
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise ValueError(f"limit must be a whole number from 1 on: {limit!r}")
        if timeout is not None and timeout < 0:
            raise ValueError(f"timeout must not be negative: {timeout!r}")
        self.name, self.interrupted, self.failures = str(name), False, []
        self._strict, self._supervisor, self._limit = strict, supervisor, limit
        self._timeout, self._deadline = timeout, deadline
        self._places = threading.Semaphore(limit) if limit else None
        self._errors, self._capsule, self._handle, self._thread = [], None, None, None
        self._part = _bough.taking_part(True)

    def __repr__(self):
        state = "not entered" if self._handle is None else "open" if self._capsule else "ended"
        return f"<bough.Branch {self.name!r}: {state}>"

    # ---- what is done with it

    def add(self, fn, /, *args, name=None, closing=(), **kwargs):
        """Run fn(*args, **kwargs) as a child: a Child. By the block's own thread, or one below it.

        closing: what the child is to close at its end, whatever becomes of it, unless it takes it over (Child.take()).
        Once the branch is interrupted nothing is started: what is to be closed is closed, and ThreadExit raised.
        """
        capsule = self._open()
        closing = closing if isinstance(closing, (tuple, list)) else (closing,)
        child = Child(self, name or f"{getattr(fn, '__name__', 'child')}-{next(_counter)}", fn, args, kwargs, tuple(closing))
        if self._places is not None:
            self._wait_for_a_place(child)
        started = False
        try:
            handle = _bough.branch_add(capsule, child._run, child.name)
            started = handle is not None
        finally:
            if not started:
                child._never_started()
        if handle is None:
            _bough.check_interrupt()
        elif child._handle is None:
            child._handle = handle
        return child

    def interrupt(self, reason=None):
        """Ask all children and the body to stop. From any thread."""
        if self._capsule is not None:
            _bough.interrupt_handle(self._handle, reason)

    def clear_interrupt(self):
        """Forget the branch's own interrupts. By the block's thread. Returns whether there were any."""
        return _bough.clear_branch(self._open()) > 0

    def set_deadline(self, deadline):
        """Move its deadline: a time of time.monotonic(), or None."""
        _bough.set_deadline(self._open(), 0 if deadline is None else _on_bough_clock(deadline))

    # ---- what children do

    def _child_failed(self, error):
        if not self._supervisor:
            self._errors.append(error)
        elif len(self.failures) < 64:
            self.failures.append(error)

    def _child_ended(self):
        if self._places is not None:
            self._places.release()

    def _wait_for_a_place(self, child):
        try:
            self._places.acquire()
        except BaseException:
            child._owner = None  # it has no place to give back
            child._never_started()
            raise

    # ---- begin and end

    def _open(self):
        if self._capsule is None:
            raise RuntimeError(f"{self!r} is not open")
        return self._capsule

    def __enter__(self):
        if self._handle is not None:
            raise RuntimeError(f"{self!r} can be entered once")
        _stdlib.opt_in()
        deadline = 0 if self._deadline is None else _on_bough_clock(self._deadline)
        if self._timeout is not None:
            at = max(1, _bough.now() + int(self._timeout * 1e9))
            deadline = min(deadline, at) if deadline else at
        self._capsule = _bough.branch_open(self.name, 0, deadline, self._supervisor)
        self._handle = _bough.branch_handle(self._capsule)
        self._thread = threading.get_ident()
        self._part.__enter__()
        return self

    def __exit__(self, _, error, trace):
        if threading.get_ident() != self._thread:
            self._misused("was left by another thread than entered it")
        try:
            self._part.__exit__()
        except RuntimeError:
            self._misused("was not left in order: the innermost first")
        left_by = self._take_from_body(error)
        self._wait()
        capsule, self._capsule = self._capsule, None
        result, self.interrupted = _bough.branch_end(capsule)
        errors, self._errors = self._errors, []
        try:
            return self._raise(errors, error, left_by, result)
        finally:
            del errors, error, left_by, trace, capsule  # a traceback that holds this frame is no cycle by it

    def _take_from_body(self, error):
        """What the body left by, if that is to go on as it is and is no failure: an interrupt from further out."""
        if error is None or self._is_own(error):
            return None
        if isinstance(error, (ThreadExit, GeneratorExit)):
            _bough.fail(self._handle, ECANCELED, _line(error))
            return error
        self._fail(error)
        return None

    def _fail(self, error):
        self._errors.append(error)
        _bough.fail(self._handle, EIO, _line(error))

    def _is_own(self, error):
        """An interrupt that was posted to this branch, or a group of nothing else."""
        if isinstance(error, ThreadExit):
            return error.record is not None and error.record.target == self._handle
        return isinstance(error, BaseExceptionGroup) and all(map(self._is_own, error.exceptions))

    def _wait(self):
        """Interrupted it goes on waiting (rule 24): the interrupt reaches the children by itself. A Ctrl-C is a failure of
        the body."""
        while True:
            try:
                return _bough.branch_wait(self._capsule)
            except BaseException as error:
                if isinstance(error, ThreadExit):
                    continue  # of a signal: it stays pending, and the children have it
                error.__traceback__ = None
                self._fail(error)

    def _raise(self, errors, error, left_by, result):
        errors = [kept for kept in map(self._without_own, errors) if kept is not None]
        try:
            if errors and (self._strict or len(errors) > 1):
                _raise_as_it_is(MultipleError(f"{len(errors)} failures in {self.name}", errors))
            if errors and errors[0] is not error:
                _raise_as_it_is(errors[0])
            if errors or left_by is not None:
                return False
            if result == ETIMEDOUT:
                _raise_as_it_is(TimeoutError(ETIMEDOUT, f"the deadline of {self.name} has passed"))
            return error is not None
        finally:
            del errors, error, left_by

    def _without_own(self, error):
        if isinstance(error, BaseExceptionGroup):
            return error.split(self._is_own)[1]
        return error

    # ---- misuse

    def _misused(self, how):
        """Nobody can end it in order any more: the children are, all the same (rule 31)."""
        capsule, self._capsule = self._capsule, None
        if capsule is not None:
            _bough.interrupt_handle(self._handle, f"the branch {how}")
            _bough.branch_wait(capsule)
        raise RuntimeError(f"{self!r} {how}; its children were interrupted and joined")

    def __del__(self):
        if getattr(self, "_capsule", None) is None:
            return
        try:
            self._misused("was dropped while it was open")
        except RuntimeError as error:
            import warnings

            warnings.warn(str(error), ResourceWarning, source=self)


def _raise_as_it_is(error):
    """With the context that it has: not the interrupt's, which is taken care of here."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context


def _on_bough_clock(deadline):
    return max(1, _bough.now() + int((deadline - time.monotonic()) * 1e9))
