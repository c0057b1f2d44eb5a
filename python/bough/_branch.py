# SPDX-License-Identifier: MIT
"""Branches: a with block that owns threads.

The block's end joins every child. The first failure, of a child or of the body, interrupts the others. Errors are
collected: a single error is raised as it is, several are raised as a MultipleError.
"""
import os
import threading
import time
from _warnings import warn
from errno import ECANCELED, EIO, ETIMEDOUT

from bough import _bough, _check, _where
from bough._child import current_child
from bough._exceptions import MultipleError, ThreadExit, consists_of, in_a_line, leaves_of, raise_as_it_is

__all__ = ["branch", "Branch"]

FAILURES_KEPT = 64  # by a supervisor


branch = _bough.branch


@_bough.branch_is
class Branch(_bough.Branch):
    """Made by branch(). What happens where all goes well is in branch_object.c and branch_context.c, which call the methods
    _check_options(), _deadline_on_bough_clock(), _has_ended(), _leave() and _dropped().

    interrupted  True after the block if an interrupt that was posted to this branch ended it
    failures     of a supervisor: the first 64 exceptions that its children raised
    """

    __slots__ = ()

    # Attributes of the C class, each with what it holds at first:
    #   _errors []           (error, its child or None)
    #   _children set()      those that run
    #   _where None          Places of those that were interrupted
    #   _stopped, _timed_out False     what of its own has ended the body, or a child
    #   _from_outside None   the record of an interrupt from further out that a child has ended by
    #   _is_inherited False  opened by the process that has forked; _ended_with_main False  by end_with_main()
    #   _in None             the child that the block runs in, once it has added one

    def _check_options(self):
        """Of branch(), where they are not what most programs give."""
        self.name = _check.text("branch() name", self.name, "Limits are given by name: timeout=, deadline=, limit=")
        self._limit = _check.whole("branch() limit", self._limit, 1, or_none=True)
        self._timeout = _check.seconds("branch() timeout", self._timeout, or_none=True)
        self._deadline = _check.deadline("branch() deadline", self._deadline)
        self._slots = threading.Semaphore(self._limit) if self._limit else None

    def __repr__(self):
        state = "not entered" if self._handle is None else "open" if self._is_open else "ended"
        return f"<bough.Branch {self.name!r}: {state}>"

    # ---- what is done with it

    def interrupt(self, reason=None):
        """Ask all children and the body to stop. Any thread may call this."""
        reason = _check.reason("Branch.interrupt()", reason)
        if self._is_open:
            _bough.interrupt_handle(self._handle, reason)

    def clear_interrupt(self):
        """Clear the interrupts that were posted to this branch. Only the block's thread may call this. Returns whether there were
        any."""
        return _bough.clear_branch(self._open()) > 0

    def set_deadline(self, deadline):
        """Set the branch's deadline: a time of time.monotonic(), or None. Only the block's thread may call this."""
        deadline = _check.deadline("set_deadline() deadline", deadline)
        _bough.set_deadline(self._open(), 0 if deadline is None else _on_bough_clock(deadline))

    # ---- children

    def _check_child(self, child, fn, closing):
        """Of add(), where that is not what most programs give."""
        things = closing if isinstance(closing, (tuple, list)) else (closing,)
        child._closing = [thing for thing in things if hasattr(thing, "close")]
        _check.function("add() fn", fn, result_is_kept=True)
        _check.closing("add() closing", things)

    def _refuse(self):
        """Nothing was started."""
        raise _bough.exception_of_reason() or ThreadExit()

    def _child_failed(self, error, child):
        if not self._supervisor:
            self._errors.append((error, child))
        elif len(self.failures) < FAILURES_KEPT:
            self.failures.append(error)

    def _child_interrupted(self, error, child):
        self._places_of_interrupts().add(error, child.name)
        for stop in leaves_of(error):
            record = getattr(stop, "record", None)
            if self._is_own(stop):
                self._ended_by_own(record)
            elif record is not None and record.target != child._handle:
                self._from_outside = record

    def _ended_by_own(self, record):
        """Also by a callback of on_interrupt(), of which the library does not know."""
        self._timed_out |= record.kind == "timeout"
        self._stopped |= record.kind not in ("timeout", "sibling")

    # ---- begin

    def _open(self):
        if not self._is_open:
            raise RuntimeError(f"{self!r} is not open")
        return self

    def _deadline_on_bough_clock(self):
        late = time.monotonic() - self._deadline
        if late > 0:
            self._places_of_interrupts().say(
                f"the deadline had passed {late:.3g} s before the block began: deadline= is a time of time.monotonic(), "
                f"timeout= a number of seconds"
            )
        return _on_bough_clock(self._deadline)

    # ---- end

    def _leave(self, error, new):
        """`error`: what the body left by. `new`: the same; or what has come since then, a Ctrl-C, for which this is
        called again."""
        if not self._is_open:
            if self._ended_with_main:
                return None
            raise RuntimeError(f"{self!r} has already ended, together with a branch that was opened around it")
        if threading.get_ident() != self._thread:
            self._give_up("was left by another thread than entered it")
        self._take(new)
        for inner in _bough.branches_in(self):
            self._fail(inner._end_out_of_order("was still open when one around it ended"))
        try:
            return self._has_ended(error, self._end())
        finally:
            del error, new  # a traceback that holds this frame is no cycle by it

    def _end(self):
        self._wait()
        _bough.branch_leave_regions(self)
        result, interrupted = _bough.branch_end(self)
        self.interrupted = interrupted or self._stopped
        self._is_open = False
        _bough.branch_forget(self)
        return result

    def _has_ended(self, error, result):
        for child in list(self._children):
            child._lost()
        errors, self._errors = self._errors, []
        left_by, self._left_by = self._left_by, None
        try:
            return self._raise(errors, error, left_by, result)
        finally:
            del errors, error, left_by

    def _take(self, error):
        """What the body left by. An interrupt from further out is to go on as it is, and is no failure."""
        if error is None:
            return
        error = _bough.as_interrupt(error)
        if consists_of(error, self._is_own):
            self._places_of_interrupts().add(error, "the block")
            for stop in leaves_of(error):
                self._ended_by_own(stop.record)
        elif not isinstance(error, (ThreadExit, GeneratorExit)):
            self._fail(error)
        elif self._left_by is None:
            self._left_by = error
            _bough.fail(self._handle, ECANCELED, in_a_line(error))

    def _fail(self, error):
        """Each Ctrl-C after the first is the same one."""
        again = isinstance(error, KeyboardInterrupt) and any(isinstance(e, KeyboardInterrupt) for e, _ in self._errors)
        if not again:
            self._errors.append((error, None))
        from bough import _signals  # which opting in has loaded

        if _signals.is_ctrl_c(error):
            _signals.pass_on(self._handle)
        _bough.fail(self._handle, EIO, in_a_line(error))

    def _is_own(self, error):
        """An interrupt that was posted to this branch."""
        return isinstance(error, ThreadExit) and error.record is not None and error.record.target == self._handle

    def _wait(self):
        """Interrupted it goes on waiting (rule 24): the interrupt reaches the children by itself. A Ctrl-C is a failure
        of the body."""
        while True:
            try:
                return _bough.branch_wait(self)
            except ThreadExit:
                pass  # of a signal: it stays pending, and the children have it
            except KeyboardInterrupt as error:
                error.__traceback__ = None
                self._fail(error)
            except BaseException as error:
                self._fail(error)

    # ---- what is raised

    def _raise(self, failed, error, left_by, result):
        errors = [kept for kept in (self._without_own(e) for e, _ in failed) if kept is not None]
        if not errors and left_by is None and (result == ETIMEDOUT or self._timed_out):
            errors.append(self._deadline_error())
        if not errors and left_by is None and self._from_outside is not None:
            left_by = self._interrupt_from_outside()
        try:
            if errors and (self._strict or len(errors) > 1):
                raise_as_it_is(MultipleError(f"{len(errors)} failure{'s'[:len(errors) > 1]} in {self.name}", errors))
            if errors:
                _let_go(failed, errors[0])
            if errors and errors[0] is not error:
                raise_as_it_is(errors[0])
            if not errors and left_by is not None and left_by is not error:
                raise_as_it_is(left_by)
            if not errors and left_by is None and _bough.unhandled_signal():
                _bough.check_interrupt()  # it came while the end waited; main may come to no other point
            return not errors and left_by is None and error is not None
        finally:
            self._where = None
            del errors, error, left_by, failed

    def _deadline_error(self):
        return self._with_places(TimeoutError(ETIMEDOUT, f"the deadline of {self.name} has passed"))

    def _interrupt_from_outside(self):
        """It has ended a child of this block, whose results are not complete: nobody is to go on with them."""
        interrupt = _bough.exception_of_reason()
        if interrupt is None:  # it was cleared meanwhile
            interrupt = ThreadExit()
            interrupt.record = self._from_outside
        return self._with_places(interrupt)

    def _places_of_interrupts(self):
        if self._where is None:
            self._where = _where.Places()
        return self._where

    def _with_places(self, error):
        where = self._where
        if where is not None:
            where.tell(error)
        error.__cause__ = where.cause if where is not None else None
        return error

    def _without_own(self, error):
        if isinstance(error, BaseExceptionGroup):
            return error.split(lambda inner: self._is_own(inner))[1]  # 3.11 takes functions only
        return error

    # ---- misuse (rule 31)

    def _end_out_of_order(self, how):
        """By its own thread. Returns what is to be raised."""
        _bough.interrupt_handle(self._handle, f"the branch {how}")
        self._end()
        for child in list(self._children):
            child._lost()
        return self._complaint(how)

    def _give_up(self, how):
        """By another thread, which can't end it in order: its children are ended, the branch itself ends with its
        thread. One of its own children can't wait for them."""
        self._is_open = False
        for child in list(self._children):
            child.interrupt(f"the branch {how}")
        if not self._is_below():
            _bough.branch_wait(self)
        raise self._complaint(how)

    def _is_below(self):
        child = current_child()
        while child is not None and child._branch != self._handle:
            child = child._above
        return child is not None

    def _complaint(self, how):
        complaint = RuntimeError(f"{self!r} {how}; its children were interrupted and joined")
        errors, self._errors = self._errors, []
        if errors:
            return MultipleError(str(complaint), [*(error for error, _ in errors), complaint])
        return complaint

    def _dropped(self):
        """While it is open."""
        how = "was dropped while it was open"
        children = list(self._children)
        for child in children:
            child._owner = lambda: self  # in a free-threaded interpreter a weak reference to what is finalized has nothing
        try:
            if threading.get_ident() != self._thread:
                self._give_up(how)
            raise self._end_out_of_order(how)
        except BaseException as error:
            warn(str(error), ResourceWarning, source=self)
        finally:
            for child in children:
                child._owner = lambda: None


# ---- forks -----------------------------------------------------------------------------------------------------------


def _in_new_process():
    """After a fork: the branches that this thread has open go on there, without their children."""
    for opened in _bough.branches_in(None):
        opened._is_inherited = True
        opened._children = set()
        opened._slots = threading.Semaphore(opened._limit) if opened._limit else None


os.register_at_fork(after_in_child=_in_new_process)


# ---- helpers --------------------------------------------------------------------------------------------------------


def _let_go(failed, raised):
    """Of what is raised as it is: its traceback will hold the frame that may hold the child, which would hold it."""
    for error, child in failed:
        if error is raised and child is not None:
            child.exception = None


def _on_bough_clock(deadline):
    """0, which is none, for one that is too far away."""
    left = deadline - time.monotonic()
    return 0 if left > 1e9 else max(1, _bough.now() + int(max(left, -1e9) * 1e9))
