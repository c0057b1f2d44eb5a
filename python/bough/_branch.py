# SPDX-License-Identifier: MIT
"""Branches: with blocks that own threads.

The block's end joins every child. The first failure, of a child or of the body, interrupts everything else in the branch. A single
error is raised as it is, several are raised as a MultipleError.
"""
import threading
from errno import ETIMEDOUT

from bough import _bough, _check
from bough._block import Block, on_bough_clock
from bough._completed import Completed
from bough._exceptions import MultipleError, ThreadExit, in_a_line, leaves_of, raise_as_it_is
from bough._own import without_frames

__all__ = ["branch", "Branch"]

FAILURES_KEPT = 64  # most failures that a supervisor keeps


branch = _bough.branch


@_bough.branch_is
@without_frames
class Branch(Block, _bough.Branch):
    """A with block that owns threads, made by branch().

    interrupted  True after the block if an interrupt that was posted to this branch ended it
    failures     the first 64 exceptions that the children of a supervisor raised
    """

    __slots__ = ()
    __module__ = "bough"

    # branch_object.c and branch_context.c run a branch without failures. They call _check_options() and methods of Block.
    # Attributes of the C class besides those of a Block, with their initial values:
    #   _from_outside None   the record of an outer target's interrupt that ended a child
    #   _in None             the child that runs the block, once the block has added a child

    def _check_options(self):
        """Check the arguments of branch(), where they are none of the usual ones, which C code accepts."""
        self.name = _check.text("branch() name", self.name, "Limits are given by name: timeout=, deadline=, limit=")
        self._limit = _check.whole("branch() limit", self._limit, 1, or_none=True)
        self._timeout = _check.seconds("branch() timeout", self._timeout, or_none=True)
        self._deadline = _check.deadline("branch() deadline", self._deadline)
        self._slots = threading.Semaphore(self._limit) if self._limit else None

    def __repr__(self):
        state = "not entered" if self._handle is None else "open" if self._is_open else "ended"
        running = len(self._children)
        children = f", {running} {'child' if running == 1 else 'children'} running" if running and self._is_open else ""
        return f"<bough.Branch {self.name!r}: {state}{children}{', interrupted' if self.interrupted else ''}>"

    # ---- interrupts and deadlines

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
        _bough.set_deadline(self._open(), 0 if deadline is None else on_bough_clock(deadline))

    # ---- children

    def map(self, fn, items, /, *, limit=None):
        """Run fn(item) for each item, each in a separate child, wait for these children, and return their results as a list in the
        order of the items. At most `limit` of them run at a time; an item is taken when its child can start. If a child fails, the
        block raises its exception; in a supervisor's block map() raises the exception of the first such item."""
        _check.function("Branch.map() fn", fn, result_is_kept=True)
        limit = _check.whole("Branch.map() limit", limit, 1, or_none=True)
        try:
            items = iter(items)
        except TypeError:
            raise _check.error(TypeError, "Branch.map() items", "an iterable", items, "For one call use add()") from None
        children, running = [], Completed()
        for item in items:
            children.append(self.add(fn, item))
            if limit is not None:
                running.add(children[-1])
                if len(running) == limit:
                    running.next()
        for child in children:
            child.join()
        _bough.check_interrupt()  # after a failure this raises: the block raises the failure, no error of result()
        return [child.result() for child in children]

    def _check_child(self, child, fn, closing):
        """Check the arguments of add(), where they are none of the usual ones, which C code accepts."""
        things = closing if isinstance(closing, (tuple, list)) else (closing,)
        child._closing = [thing for thing in things if hasattr(thing, "close")]
        _check.function("add() fn", fn, result_is_kept=True)
        _check.closing("add() closing", things)

    def _refuse(self):
        """Called by add() if an interrupt kept the child from being started."""
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
                _drop_exception(failed, errors[0])
            if errors and errors[0] is not error:
                raise_as_it_is(errors[0])
            if not errors and left_by is not None and left_by is not error:
                raise_as_it_is(left_by)
            if not errors and left_by is None and _bough.unhandled_signal():
                _bough.check_interrupt()  # the signal came while the end waited; main may reach no other interruption point
            return not errors and left_by is None and error is not None
        finally:
            self._where = None
            del errors, error, left_by, failed

    def _interrupt_from_outside(self):
        """The interrupt that ended a child. The block raises it, so that no code goes on with incomplete results."""
        interrupt = _bough.exception_of_reason()
        if interrupt is None:  # the interrupt was cleared meanwhile
            interrupt = ThreadExit()
            interrupt.record = self._from_outside
        return self._with_places(interrupt)


# ---- helpers --------------------------------------------------------------------------------------------------------


def _drop_exception(failed, raised):
    """Avoid a cycle: the traceback of `raised` will hold the block's frame, which may hold the child, which holds `raised`."""
    for error, child in failed:
        if error is raised and child is not None:
            child._raised_text = in_a_line(error)
            child.exception = None
