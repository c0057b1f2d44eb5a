# SPDX-License-Identifier: MIT
"""The ladder: what becomes of an interrupt that is not heeded (rules 34 to 41).

Rung 1 is the flag: what all the rest of the package is about. This is about the rungs above: a handler that must return, one
that must not, closing without the thread, the exit, the dump and the kill. None of them waits for the interpreter lock but
those that run Python code, and these have deadlines that the library's own thread watches.
"""
import enum
import sys
import threading
from typing import NamedTuple

from bough import _bough, _check

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
    return Verdict(1, "resume", _check.seconds("resume() seconds", seconds, below=1e9))


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
    _check.function("handler() callback", callback)

    def must_return(told):
        verdict = callback(_incident(told))
        if verdict is None:
            verdict = UNWIND
        if not isinstance(verdict, Verdict):
            raise _check.error(TypeError, "what a handler returns", "UNWIND, PROMOTE, DISMISS, resume(seconds) or None", verdict)
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
        self._callback, self._open = _check.function("closer() callback", callback), []

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


def _handle_of(ident):
    return _bough.self_handle() if ident == threading.get_ident() else _bough.handle_of(ident)


def _handle(where, target):
    if target is None:
        return 0
    handle = getattr(target, "_handle", None)  # a branch, or a child of one
    if isinstance(handle, int):
        return handle
    if isinstance(target, (int, threading.Thread)):
        return _check.alive(f"{where} target", target, _handle_of)
    expected = "None, a branch that is open, a child, a threading.Thread or its ident"
    raise _check.error(TypeError, f"{where} target", expected, target)


def _ns(what, seconds):
    if seconds is None:
        return 0
    return max(1, int(_check.seconds(what, seconds, or_none=True, positive=True, below=2e6) * 1e9))


def _kind(what, name):
    if name not in KINDS:
        raise _check.error(ValueError, what, f"one of {', '.join(KINDS)}", name)
    return name


def _rung(what, rung):
    try:
        return Rung(rung)
    except ValueError:
        raise _check.error(ValueError, what, "a Rung, or a number from 1 to 6", rung) from None


def _items(what, mapping, expected):
    if mapping is None:
        return ()
    if not hasattr(mapping, "items"):
        raise _check.error(TypeError, what, f"a dict, {expected}", mapping)
    return mapping.items()


def set_ladder(target=None, *, grace=None, cap=None, times=None, ceilings=None):
    """Set times and ceilings, for the process, a branch (by its owner) or the calling thread (its Thread, or ident).

    grace     seconds for everything: the default times are scaled to it. The environment's BOUGH_GRACE, else 30 (9 as process 1)
    cap       seconds after which the process ends, for an interrupt that climbs so far
    times     {rung: seconds}
    ceilings  {kind: the highest rung}, such as {"stop": Rung.KILL}. Kinds: stop, timeout, sibling, signal, exit, operator,
              exception

    What is not given counts as it is further out. It replaces what was set for this target before.
    """
    key, value = "a key of set_ladder() times", "set_ladder() times[{}]"
    times = {
        _rung(key, rung): _ns(value.format(int(rung)), seconds)
        for rung, seconds in _items("set_ladder() times", times, "{rung: seconds}")
    }
    key, value = "a key of set_ladder() ceilings", "set_ladder() ceilings[{!r}]"
    ceilings = {
        _kind(key, kind): int(_rung(value.format(kind), rung))
        for kind, rung in _items("set_ladder() ceilings", ceilings, "{kind: rung}")
    }
    grace, cap = _ns("set_ladder() grace", grace), _ns("set_ladder() cap", cap)
    _opt_in()
    _bough.ladder_set(
        _handle("set_ladder()", target),
        grace,
        cap,
        tuple(times.get(rung, 0) for rung in Rung),
        tuple(ceilings.get(kind, 0) for kind in KINDS),
    )


def get_ladder(target=None):
    """What counts for the process, a branch or a thread: a Ladder, with everything in it."""
    grace, cap, times, ceilings = _bough.ladder_get(_handle("get_ladder()", target))
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
    if callback is not None:
        _check.function("on_transition() callback", callback)

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
    _check.function("exit_tier() callback", callback)
    _check.whole("exit_tier() tier", tier, -(1 << 31), below=1 << 31)
    _opt_in()
    _bough.exit_tier(tier, callback)


def last_words(file=None, *, core=False):
    """Where rung 6 writes its dump: a path (with %d for the process id), a file or a descriptor; None: standard error. With
    core=True the process ends by SIGABRT, and leaves a core where limits allow one."""
    path, fd = _check.path_or_descriptor("last_words() file", file)
    _bough.last_words(path, fd, core)


def dump(file=None):
    """Write to a file or descriptor (None: standard error) what goes on in this process: the tree, each thread's level, regions
    and records, where it is stuck, all C stacks. Of Python's own stacks faulthandler.dump_traceback() tells."""
    _bough.dump(_check.descriptor("dump() file", sys.stderr if file is None else file))
