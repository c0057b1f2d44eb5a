# SPDX-License-Identifier: MIT
"""Scopes: a time limit for a block, or for each call of a function. A scope is a branch without children.

A scope that does not fail runs in scope.c alone. Otherwise scope.c calls _check_options() and the methods of _block.py.
"""
import math
import threading
import time
from errno import ETIMEDOUT
from functools import update_wrapper

from bough import _bough, _check
from bough._block import Block, on_bough_clock
from bough._exceptions import MultipleError, raise_as_it_is
from bough._own import without_frames

__all__ = ["fail_after", "fail_at", "move_on_after", "move_on_at", "CancelScope"]

FAILS = 1  # enum bp_scope

fail_after = _bough.fail_after
fail_at = _bough.fail_at
move_on_after = _bough.move_on_after
move_on_at = _bough.move_on_at


@_bough.scope_is
@without_frames
class CancelScope(Block, _bough.CancelScope):
    """Made by fail_after(), fail_at(), move_on_after() and move_on_at(). CancelScope() is move_on_at(math.inf): a block
    that only its cancel() ends.

    cancelled_caught  whether the block was ended by the scope's deadline or by cancel(); False while it is open
    cancel_called     whether cancel() was called, or the deadline has passed while the block was open
    deadline          a time of time.monotonic(); math.inf means none. Before the block begins any thread may set it. Then only the
                      thread in the block may, to an earlier or later time, until the deadline has passed
    """

    __slots__ = ()
    __module__ = "bough"
    _is_logged = False  # an exception that leaves a scope is not logged as a branch's failure

    def __new__(cls, *, deadline=math.inf, asynchronous=False, shield=False):
        if shield:
            raise TypeError("CancelScope() has no shield=True: protect code by critical_section(), which ends by itself")
        deadline = _check.deadline("CancelScope() deadline", deadline)
        return move_on_at(deadline, asynchronous=asynchronous)

    @property
    def _function(self):
        """The name of the function that has made the scope."""
        return f"{'fail' if self._scope == FAILS else 'move_on'}_{'after' if self._deadline is None else 'at'}"

    def _check_options(self):
        """Check and convert the options that scope.c does not accept itself."""
        function = self.name
        if function.endswith("_at"):
            self._deadline = _check.deadline(f"{function}() deadline", self._deadline)
            self._deadline = math.inf if self._deadline is None else self._deadline
            return
        what, seconds = f"{function}() seconds", self._timeout
        if callable(seconds):
            raise _check.error(TypeError, what, "a number of seconds", seconds, f"As a decorator it is @{function}(seconds)")
        if isinstance(seconds, (int, float)) and seconds < 0:
            advice = f"Use {function.replace('after', 'at')}(deadline) where the time may be over already"
            raise _check.error(ValueError, what, "a number of seconds, 0 or more, or None", seconds, advice)
        self._timeout = _check.seconds(what, seconds, or_none=True)

    def __repr__(self):
        state = "not entered" if self._handle is None else "ended"
        if self._is_open:
            left = self.deadline - time.monotonic()
            state = "open" + (f", {left:.3g} s left" if 0 < left < math.inf else "")
        if self._caught:
            state = "ended by its deadline" if self._timed_out else "cancelled"
        return f"<bough.{self._title()}: {state}>"

    def __getattr__(self, name):
        advice = ". A scope has no children: use branch(timeout=...)" if name in ("add", "map") else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{advice}", name=name, obj=self)

    def _title(self):
        limit = self._timeout if self._function.endswith("after") else self._deadline
        of = "" if self.name.startswith(("fail_", "move_on_")) else f" of {self.name}"
        return f"{self._function}({math.inf if limit is None else limit:g}){of}"

    # ---- the scope's state, cancel() and its use as a decorator

    @property
    def cancelled_caught(self):
        """Whether the block was ended by the scope's deadline or by cancel()."""
        return self._caught

    @property
    def cancel_called(self):
        """Whether cancel() was called, or the deadline has passed while the block was open."""
        return self._cancelled or (self._is_open and 0 < self._ends_at <= _bough.now())

    def cancel(self, reason=None):
        """End the block without an exception: `cancelled_caught` is True then. Any thread may call this. A call before the block
        begins takes effect at the block's first interruption point; a call after the block's end does nothing."""
        _bough.cancel_scope(self, _check.reason("CancelScope.cancel()", reason))

    @property
    def deadline(self):
        """A time of time.monotonic(); math.inf means none."""
        if self._due is None:
            if self._handle is None:
                return self._deadline if self._timeout is None else time.monotonic() + self._timeout
            self._due = time.monotonic() + (self._ends_at - _bough.now()) / 1e9 if self._ends_at else math.inf
        return self._due

    @deadline.setter
    def deadline(self, deadline):
        deadline = _check.deadline("CancelScope.deadline", deadline)
        deadline = math.inf if deadline is None else deadline
        if self._handle is None:
            self._deadline, self._timeout = deadline, None
            return
        self._open()
        if threading.get_ident() != self._thread:
            raise RuntimeError(f"{self!r} is another thread's: its deadline is set by the thread in the block. Any thread may call cancel()")
        self._cancelled = self.cancel_called  # if the deadline has passed, cancel_called stays True
        ends_at = 0 if deadline == math.inf else on_bough_clock(deadline)
        _bough.set_deadline(self, ends_at)
        self._ends_at, self._due = ends_at, deadline

    def __call__(self, function):
        """As a decorator: each call of the function is a block of a new scope with this limit."""
        title, self._used = self._title(), True
        if self._function.endswith("_at") or self._handle is not None:
            advice = f"its limit would not count from each call. Write @{self._function[:-3]}_after(seconds)"
            raise TypeError(f"{title} cannot be a decorator: {advice}")
        advice = "Its call executes nothing of it: put the block inside"
        coroutine = "Its call executes nothing of it: use asyncio.timeout(), or trio's or anyio's fail_after(), inside"
        if isinstance(function, (type, classmethod, property)):
            raise _check.error(TypeError, f"what {title} decorates", "a function", function, "Decorate the function itself")
        _check.function(f"what {title} decorates", function, advice=advice, of_async=coroutine)
        name = getattr(function, "__qualname__", None) or type(function).__name__
        return update_wrapper(_bough.scoped(self, function, name), function)

    # ---- what is raised

    def _raise(self, failed, error, left_by, result):
        errors = [kept for kept in (self._without_own(e) for e, _ in failed) if kept is not None]
        ended = error is not None and not errors and left_by is None
        try:
            if ended:
                left_by = _bough.interrupt_from_outside()
                self._caught = left_by is None
            if ended and left_by is None and self._timed_out and self._scope == FAILS:
                errors.append(self._deadline_error())
            if not errors and left_by is not None:
                errors.append(left_by)
            if len(errors) > 1:
                raise_as_it_is(MultipleError(f"{len(errors)} failures in {self._title()}", errors))
            if errors and errors[0] is not error:
                raise_as_it_is(errors[0])
            return ended
        finally:
            self._where = None
            del errors, error, left_by, failed

    def _deadline_error(self):
        return self._with_places(TimeoutError(ETIMEDOUT, f"the deadline of {self._title()} has passed"))
