# SPDX-License-Identifier: MIT
"""What a branch and a scope have in common: their ends, and what is done where they are misused.

A block that goes well is entered and left in branch_context.c. That file calls the methods _deadline_on_bough_clock(), _leave(),
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

ANOTHER_THREAD = "was left by another thread than entered it"
AROUND_IT_ENDED = "was still open when one around it ended"
DROPPED = "was dropped while it was open"

_ADVICE = {
    ANOTHER_THREAD: "Enter and leave it in the same thread",
    AROUND_IT_ENDED: "Leave the block that was entered last first",
    DROPPED: "Close the generator that it is open in, or use a with statement",
    THREAD_ENDED: "Close the generator that it is open in, in this thread",
    MAIN_ENDED: "Close the generator that it is open in before main ends",
}


class Block:
    """A class that derives from this one derives from _bough.Block as well, which has these attributes, each with what it holds at
    first:

    _errors []           (error, its child or None)
    _children set()      those that run
    _where None          Places of those that were interrupted
    _stopped, _timed_out False     what of its own has ended the body, or a child
    _left_by None        an interrupt from further out that the body was left by
    _is_inherited False  opened by the process that has forked; _ended_with_main False  by end_with_main()
    """

    __slots__ = ()
    _is_logged = True  # a failure of its body

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
        """`error`: what the body left by. `new`: the same; or what has come since then, a Ctrl-C, for which this is
        called again."""
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
        """Each Ctrl-C after the first is the same one; and a child's exception may come by its result()."""
        kind = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ()
        again = any(e is error or isinstance(e, kind) for e, _ in self._errors)
        if not again:
            self._errors.append((error, None))
            if self._is_logged and _watch.on_failure is not None:
                _watch.on_failure(None, self.name, error)
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

    def _ended_by_own(self, record):
        """Also by a callback of on_interrupt(), of which the library does not know."""
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
        """By its own thread. Returns what is to be raised."""
        _bough.interrupt_handle(self._handle, f"the branch {how}")
        self._end()
        for child in list(self._children):
            child._lost()
        return self._complaint(how)

    def _give_up(self, how):
        """Called by another thread, which can't end the branch properly: its children are ended, the branch itself ends with its
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
        joined = "" if self._scope else "; its children were interrupted and joined"
        complaint = RuntimeError(f"{self!r} {how}{joined}. {_ADVICE[how]}")
        errors, self._errors = self._errors, []
        if errors:
            return MultipleError(str(complaint), [*(error for error, _ in errors), complaint])
        return complaint

    def _dropped(self):
        """While it is open."""
        how = DROPPED
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


def on_bough_clock(deadline):
    """0, which is none, for one that is too far away."""
    left = deadline - time.monotonic()
    return 0 if left > 1e9 else max(1, _bough.now() + int(max(left, -1e9) * 1e9))
