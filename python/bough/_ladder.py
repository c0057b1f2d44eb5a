# SPDX-License-Identifier: MIT
"""The ladder: what becomes of an interrupt that is not heeded (rules 34 to 41).

Rung 1 is the flag: what all the rest of the package is about. This is about the rungs above: a handler that must return, one
that must not, closing without the thread, the exit, the dump and the kill. None of them waits for the interpreter lock but
those that run Python code, and these have deadlines that the library's own thread watches.
"""
import enum
import os
import sys
import threading
from typing import NamedTuple

from bough import _bough

__all__ = [
    "Rung",
    "Incident",
    "Ladder",
    "Transition",
    "UNWIND",
    "PROMOTE",
    "DISMISS",
    "resume",
    "handler",
    "closer",
    "set_ladder",
    "get_ladder",
    "on_transition",
    "exit_tier",
    "last_words",
    "dump",
]

KINDS = ("stop", "timeout", "sibling", "signal", "exit", "operator", "exception")  # enum bough_kind


class Rung(enum.IntEnum):
    """The steps of the ladder."""

    FLAG = 1
    HANDLER = 2
    FINAL = 3
    CLOSE = 4
    EXIT = 5
    KILL = 6


# ---- handlers: rungs 2 and 3 -------------------------------------------------------------------------------------------


class Incident(NamedTuple):
    """What a handler is told: the interrupt's record, the rung it runs at, in how many seconds it must be back, and in how
    many the process ends (None: this one does not climb that far)."""

    record: object
    rung: Rung
    deadline: float | None
    cap: float | None


class Verdict(NamedTuple):
    """What a rung 2 handler returns: UNWIND, PROMOTE, DISMISS or resume(seconds)."""

    number: int
    name: str
    seconds: float = 0.0

    def __repr__(self):
        return f"resume({self.seconds:g})" if self.number == 1 else self.name


UNWIND = Verdict(0, "UNWIND")  # enum bough_verdict
PROMOTE = Verdict(2, "PROMOTE")
DISMISS = Verdict(3, "DISMISS")


def resume(seconds):
    """A verdict: work on for so long, and then be asked again. Never longer than the cap."""
    if not 0 <= seconds < 1e9:
        raise ValueError(f"seconds to work on, please: {seconds!r}")
    return Verdict(1, "resume", float(seconds))


def _incident(told):
    record, rung, deadline, cap = told
    return Incident(record, Rung(rung), deadline, cap)


def handler(callback, *, final=False):
    """with handler(callback): a handler of rung 2 for this block; with final=True one of rung 3.

    It runs on the thread itself, at its next interruption point (check_interrupt(), or a blocking call that may be cut), when
    the interrupt was not heeded in time; never in a critical section. It is called with an Incident.

    At rung 2 it must return, with a verdict: UNWIND (or None: the point raises, as without a handler), resume(seconds), PROMOTE
    (the next handler outwards, then the next rung), DISMISS (forget the interrupt, which its third event does not allow). What it
    raises goes to sys.unraisablehook and counts as PROMOTE.

    At rung 3 it must not return: what it raises ends the thread. If it returns, the interrupt goes on to the next rung.
    """
    if not callable(callback):
        raise TypeError(f"a handler is called with an incident: {callback!r} can't be")

    def must_return(told):
        verdict = callback(_incident(told))
        if verdict is None:
            verdict = UNWIND
        if not isinstance(verdict, Verdict):
            raise TypeError(f"a handler returns a verdict, not {verdict!r}")
        return verdict.number, verdict.seconds

    def must_not_return(told):
        callback(_incident(told))
        return PROMOTE.number, 0.0

    _opt_in()
    return _bough.handler(must_not_return if final else must_return, final=final)


# ---- rung 4 --------------------------------------------------------------------------------------------------------------


class closer:
    """with closer(callback): should the thread be closed without itself (rung 4) while the block runs, callback() is called.

    On a thread of bough's, the innermost first, when the thread has been stopped for good. That is possible only where it
    holds no lock that others need, the interpreter's above all: while it waits in one of bough's own waits (the end of a
    branch). Anywhere else in Python code rung 4 is skipped, and the ladder goes on to rung 5: what must be done at any rate
    belongs into an exit_tier(). The end of the block runs nothing.
    """

    def __init__(self, callback):
        if not callable(callback):
            raise TypeError(f"a closer is called without arguments: {callback!r} can't be")
        self._callback, self._open = callback, []

    def __enter__(self):
        _opt_in()
        self._open.append(_bough.closer(self._callback))
        return self

    def __exit__(self, *error):
        _bough.closer_drop(self._open.pop())


# ---- times and ceilings ----------------------------------------------------------------------------------------------------


class Ladder(NamedTuple):
    """Times in seconds: the grace as a whole, the cap at which the process ends, each rung's. And how far each kind climbs."""

    grace: float
    cap: float
    times: dict
    ceilings: dict


def _opt_in():
    from bough import _stdlib  # which imports ours

    _stdlib.opt_in()


def _handle(target):
    if target is None:
        return 0
    if isinstance(target, threading.Thread):
        if target.ident is None or not target.is_alive():
            raise ValueError(f"{target!r} is not alive")
        target = target.ident
    if isinstance(target, int):
        return _bough.self_handle() if target == threading.get_ident() else _bough.handle_of(target)
    handle = getattr(target, "_handle", None)  # a branch, or a child of one
    if handle is None:
        raise TypeError(f"None, a branch, a thread or its ident is wanted, not {target!r}")
    return handle


def _ns(seconds, what):
    if seconds is None:
        return 0
    if not 0 < seconds < 2e6:
        raise ValueError(f"{what} must be more than 0 seconds, and less than 24 days: {seconds!r}")
    return max(1, int(seconds * 1e9))


def _kind(name):
    if name not in KINDS:
        raise ValueError(f"there is no kind {name!r}, but {', '.join(KINDS)}")
    return name


def set_ladder(target=None, *, grace=None, cap=None, times=None, ceilings=None):
    """Set times and ceilings, for the process, a branch (by its owner) or the calling thread (its Thread, or ident).

    grace     seconds for everything: the default times are scaled to it. The environment's BOUGH_GRACE, else 30 (9 as process 1)
    cap       seconds after which the process ends, for an interrupt that climbs so far
    times     {rung: seconds}
    ceilings  {kind: the highest rung}, such as {"stop": Rung.KILL}. Kinds: stop, timeout, sibling, signal, exit, operator,
              exception

    What is not given counts as it is further out. It replaces what was set for this target before.
    """
    _opt_in()
    times = {Rung(rung): _ns(seconds, f"the time of rung {int(rung)}") for rung, seconds in (times or {}).items()}
    ceilings = {_kind(kind): int(Rung(rung)) for kind, rung in (ceilings or {}).items()}
    _bough.ladder_set(
        _handle(target),
        _ns(grace, "grace"),
        _ns(cap, "cap"),
        tuple(times.get(rung, 0) for rung in Rung),
        tuple(ceilings.get(kind, 0) for kind in KINDS),
    )


def get_ladder(target=None):
    """What counts for the process, a branch or a thread: a Ladder, with everything in it."""
    grace, cap, times, ceilings = _bough.ladder_get(_handle(target))
    return Ladder(
        grace / 1e9,
        cap / 1e9,
        {rung: ns / 1e9 for rung, ns in zip(Rung, times)},
        {kind: Rung(rung) for kind, rung in zip(KINDS, ceilings)},
    )


# ---- watching ----------------------------------------------------------------------------------------------------------------


class Transition(NamedTuple):
    """One step of one interrupt's way up. `after` is 0 when it is over, and equals `before` when it is overdue at its ceiling."""

    kind: str
    before: int
    after: int
    name: str  # the target's
    why: str  # "not handled in 5.0 s"
    place: str  # where the first thread that has not ended is stuck
    source: int  # the native id of who posted
    age: float  # seconds since the post
    target: int  # its handle


_transition_callback = None


def on_transition(callback):
    """Call callback(Transition) at each step of any interrupt on the ladder; None ends it. Returns the one before.

    It runs on a thread of bough's, one call at a time, and nobody waits for it: while another thread keeps the interpreter lock it
    comes late, and not at all where the process ends first. What it raises goes to sys.unraisablehook.
    """
    global _transition_callback
    if callback is not None and not callable(callback):
        raise TypeError(f"a callback is called with a transition: {callback!r} can't be")

    def tell(kind, *rest):
        callback(Transition(KINDS[kind], *rest))

    _opt_in()
    _bough.set_on_transition(None if callback is None else tell)
    before, _transition_callback = _transition_callback, callback
    return before


# ---- the end -----------------------------------------------------------------------------------------------------------------


def exit_tier(tier, callback):
    """Call callback() at rung 5, when the ladder ends the process: lower tiers first, the last registered of a tier first, all
    together within half of that rung's time. On a thread of bough's. Not at an ordinary end, which has atexit."""
    if not callable(callback):
        raise TypeError(f"it is called without arguments: {callback!r} can't be")
    _opt_in()
    _bough.exit_tier(tier, callback)


def last_words(file=None, *, core=False):
    """Where rung 6 writes its dump: a path (with %d for the process id), a file or a descriptor; None: standard error. With
    core=True the process ends by SIGABRT, and leaves a core where limits allow one."""
    if file is None:
        _bough.last_words(None, -1, core)
    elif isinstance(file, (str, os.PathLike)):
        _bough.last_words(os.fspath(file), -1, core)
    else:
        _bough.last_words(None, _fd(file), core)


def _fd(file):
    if isinstance(file, int):
        return file
    file.flush()
    return file.fileno()


def dump(file=None):
    """Write to a file or descriptor (None: standard error) what goes on in this process: the tree, each thread's level, regions
    and records, where it is stuck, all C stacks. Of Python's own stacks faulthandler.dump_traceback() tells."""
    _bough.dump(_fd(sys.stderr if file is None else file))
