# SPDX-License-Identifier: MIT
"""The results of several children: as they come, or the first one."""
import time

from bough import _check
from bough._branch import branch
from bough._child import Child
from bough._completed import Completed
from bough._exceptions import MultipleError, NoResultError, raise_as_it_is
from bough._own import without_frames

__all__ = ["as_completed", "race"]


@without_frames
def as_completed(children, *, timeout=None):
    """Iterate over children, of any branches: each as soon as it has ended, with whatever outcome. See child.result() and
    child.outcome. The wait for the next child is a blocking call, which can be interrupted. Raises TimeoutError if not all have
    ended in `timeout` seconds."""
    try:
        given = dict.fromkeys(children)
    except TypeError:
        raise _check.error(TypeError, "as_completed() children", "an iterable of children", children, _advice(children)) from None
    for child in given:
        if not isinstance(child, Child):
            raise _check.error(TypeError, "as_completed() children", "children, as Branch.add() returns them", child, _advice(child))
    return _Completed(given, _check.seconds("as_completed() timeout", timeout, or_none=True))


def _advice(thing):
    return "Use concurrent.futures.as_completed() for futures" if hasattr(thing, "add_done_callback") else ""


class _Completed:
    def __init__(self, children, timeout):
        self._children = Completed(children)
        self._end = None if timeout is None else time.monotonic() + timeout

    def __iter__(self):
        return self

    @without_frames
    def __next__(self):
        if not self._children:
            raise StopIteration
        child = self._children.next(self._end)
        if child is None:
            left = len(self._children)
            unfinished, them = ("1 child has", "it") if left == 1 else (f"{left} children have", "them")
            raise TimeoutError(f"{unfinished} not ended: interrupt {them}, or leave the block that waits for {them}")
        return child


@without_frames
def race(*functions, name="race"):
    """Run the functions at the same time, each in a separate child, and return the result of the first one that returns. Then the
    other functions are interrupted, and race() waits for their end. A function that fails is out of the race. If all fail, their
    exceptions are raised as a MultipleError; a single exception is raised as it is.

    What the others have taken out of a queue or a socket is lost with their results. Give functions without arguments: a lambda, or
    functools.partial().
    """
    if not functions:
        raise TypeError("race() must be given one function or more, each without arguments")
    _check.text("race() name", name, "Give the functions by position: race(f, g)")
    for function in functions:
        if isinstance(function, (tuple, list)):
            raise _check.error(TypeError, "race() function", "a function", function, "Write race(*functions)")
        _check.function("race() function", function)
    with branch(name, supervisor=True) as b:
        children = [b.add(function) for function in functions]
        for child in as_completed(children):
            if child.outcome == "ok":
                b.interrupt(f"{child.name} has come first")
                return child.result()
    errors = [child.exception for child in children if child.exception is not None]
    if len(errors) == 1:
        raise_as_it_is(errors[0])
    if errors:
        raise_as_it_is(MultipleError(f"{len(errors)} failures in {name}", errors))
    raise NoResultError(f"no function of {name} has returned or failed: all were interrupted")
