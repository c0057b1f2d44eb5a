# SPDX-License-Identifier: MIT
"""The code that branches and scopes share: how a block ends, and what happens when one is misused.

branch_context.c enters and leaves a block in which nothing fails. It calls the methods _deadline_on_bough_clock(), _leave(),
_has_ended() and _dropped().
"""
import os
import threading
import time
from _warnings import warn
from errno import ECANCELED, EIO, ETIMEDOUT

from bough import _bough, _watch, _where
from bough._child import current_child
from bough._exceptions import MultipleError, ThreadExit, consists_of, in_a_line, leaves_of
from bough._open_branches import MAIN_ENDED, THREAD_ENDED

ANOTHER_THREAD = "was left by a thread that did not enter it"
AROUND_IT_ENDED = "was still open when a block around it ended"
DROPPED = "was dropped while it was open"

_ADVICE = {
    ANOTHER_THREAD: "Enter and leave it in the same thread",
    AROUND_IT_ENDED: "Leave the block that was entered last first",
    DROPPED: "Close the generator that it is open in, or use a with statement",
    THREAD_ENDED: "Close the generator that it is open in, in this thread",
    MAIN_ENDED: "Close the generator that it is open in before main ends",
}


class Block:
    """Each subclass also derives from _bough.Block, which has these attributes, with their initial values:

    _errors []           pairs (error, its child or None)
    _children set()      the children that run
    _where None          the Places where the body and children were interrupted
    _stopped, _timed_out False     an interrupt of this block, or its deadline, has ended the body or a child
    _left_by None        the interrupt of an outer target that ended the body
    _is_inherited False  the parent process opened the block before it forked
    _ended_with_main False         end_with_main() has ended the block
    """

    __slots__ = ()
    _is_logged = True  # whether a failure of the body is logged

    # ---- begin

    def _open(self):
        if not self._is_open:
            raise RuntimeError(f"{self!r} is not open: use it inside its with block")
        return self

    def _deadline_on_bough_clock(self):
        late = time.monotonic() - self._deadline
        if late > 0:
            self._places_of_interrupts().add_note(
                f"the deadline had passed {late:.3g} s before the block began: deadline= is a time of time.monotonic(), "
                f"timeout= a number of seconds"
            )
        return on_bough_clock(self._deadline)

    # ---- end

    def _leave(self, error, new):
        """`error` is the exception that left the body, or None, and so is `new` at first. If an exception such as a Ctrl-C leaves
        this method while the block is open, branch_context.c calls it again with that exception as `new`."""
        if not self._is_open:
            if self._ended_with_main:
                return None
            if self._handle is None:
                raise RuntimeError(f"{self!r} was left without being entered: write it in a with statement")
            raise RuntimeError(f"{self!r} has already ended, together with a branch that was opened around it")
        if threading.get_ident() != self._thread:
            self._give_up(ANOTHER_THREAD)
        self._take(new)
        for inner in _bough.branches_in(self):
            self._fail(inner._end_out_of_order(AROUND_IT_ENDED))
        try:
            return self._has_ended(error, self._end())
        finally:
            del error, new  # else a traceback that holds this frame would be a reference cycle

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
        """Note the exception that left the body. An interrupt of an outer target is no failure: the block passes it on as it is."""
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
        """Add a failure, unless it repeats one: a second Ctrl-C, or a child's exception that its result() has raised."""
        kind = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ()
        again = any(e is error or isinstance(e, kind) for e, _ in self._errors)
        if not again:
            self._errors.append((error, None))
            if self._is_logged and _watch.on_failure is not None:
                _watch.on_failure(None, self.name, error)
        from bough import _signals  # opting in has loaded it

        if _signals.is_ctrl_c(error):
            _signals.pass_on(self._handle)
        _bough.fail(self._handle, EIO, in_a_line(error))

    def _is_own(self, error):
        """Whether the error is an interrupt that was posted to this branch."""
        return isinstance(error, ThreadExit) and error.record is not None and error.record.target == self._handle

    def _wait(self):
        """Wait for the children. An interrupt does not end the wait (rule 24): the library passes it to the children. A Ctrl-C is
        a failure of the body."""
        while True:
            try:
                return _bough.branch_wait(self)
            except ThreadExit:
                pass  # a signal's interrupt: it stays pending, and has reached the children
            except KeyboardInterrupt as error:
                error.__traceback__ = None
                self._fail(error)
            except BaseException as error:
                self._fail(error)

    def _ended_by_own(self, record):
        """Note that this block's interrupt took effect. The library misses one that took effect by a callback of on_interrupt()."""
        self._timed_out |= record.kind == "timeout"
        self._stopped |= record.kind not in ("timeout", "sibling")

    # ---- what is raised

    def _deadline_error(self):
        return self._with_places(TimeoutError(ETIMEDOUT, f"the deadline of {self.name} has passed"))

    def _places_of_interrupts(self):
        if self._where is None:
            self._where = _where.Places()
        return self._where

    def _with_places(self, error):
        where = self._where
        if where is not None:
            where.add_to(error)
        error.__cause__ = where.cause if where is not None else None
        return error

    def _without_own(self, error):
        if isinstance(error, BaseExceptionGroup):
            return error.split(lambda inner: self._is_own(inner))[1]  # 3.11 takes functions only
        return error

    # ---- misuse (rule 31)

    def _end_out_of_order(self, how):
        """Called by the thread that entered the block. Returns the exception to raise."""
        _bough.interrupt_handle(self._handle, f"the branch {how}")
        self._end()
        for child in list(self._children):
            child._lost()
        return self._complaint(how)

    def _give_up(self, how):
        """Called by a thread that did not enter the branch and so can't end it: interrupt the children and wait for them; the
        branch ends with the thread that entered it. A descendant of the branch does not wait, since it would wait for itself."""
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
        joined = "" if self._scope else "; its children were interrupted and joined"
        complaint = RuntimeError(f"{self!r} {how}{joined}. {_ADVICE[how]}")
        errors, self._errors = self._errors, []
        if errors:
            return MultipleError(str(complaint), [*(error for error, _ in errors), complaint])
        return complaint

    def _dropped(self):
        """The object is finalized while the block is open."""
        how = DROPPED
        children = list(self._children)
        for child in children:
            child._owner = lambda: self  # in a free-threaded interpreter a weak reference to a finalized object is dead
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
    """In a forked process the branches that this thread has open stay open, without their children."""
    for opened in _bough.branches_in(None):
        opened._is_inherited = True
        opened._children = set()
        opened._slots = threading.Semaphore(opened._limit) if opened._limit else None


os.register_at_fork(after_in_child=_in_new_process)


# ---- helpers --------------------------------------------------------------------------------------------------------


def on_bough_clock(deadline):
    """The deadline on bough's clock; 0, which means none, for a deadline that is too far away."""
    left = deadline - time.monotonic()
    return 0 if left > 1e9 else max(1, _bough.now() + int(max(left, -1e9) * 1e9))
