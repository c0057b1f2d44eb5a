# SPDX-License-Identifier: MIT
"""The ladder: how an interrupt that is not heeded escalates (rules 34 to 41).

Rung 1, the flag, is in the rest of the package. This file has the rungs above it: a handler that must return, a handler that
must not return, closing without the thread, the exit, the dump and the kill. Only the rungs that run Python code wait for the
GIL, and the library's thread enforces their deadlines.
"""
import enum
import signal
import sys
import threading
from typing import NamedTuple

from bough import _bough, _check
from bough._own import without_frames

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
    "dump_on_signal",
    "dump_on_signal_undo",
    "notify_ready",
    "watchdog_feed",
    "watchdog_interval",
]

KINDS = ("stop", "timeout", "sibling", "signal", "exit", "operator", "exception")  # enum bough_kind


class Rung(enum.IntEnum):
    """The rungs of the ladder."""

    FLAG = 1
    HANDLER = 2
    FINAL = 3
    CLOSE = 4
    EXIT = 5
    KILL = 6


# ---- handlers: rungs 2 and 3 -------------------------------------------------------------------------------------------


class Incident(NamedTuple):
    """The argument of a handler: the interrupt's record, the rung at which the handler runs, the seconds in which it must return
    (`deadline`), and the seconds until the process ends (`cap`; None: this incident does not climb that far)."""

    record: object
    rung: Rung
    deadline: float | None
    cap: float | None


class Verdict(NamedTuple):
    """The return value of a rung 2 handler: UNWIND, PROMOTE, DISMISS or resume(seconds)."""

    number: int
    name: str
    seconds: float = 0.0

    def __repr__(self):
        return f"resume({self.seconds:g})" if self.number == 1 else self.name


UNWIND = Verdict(0, "UNWIND")  # enum bough_verdict
PROMOTE = Verdict(2, "PROMOTE")
DISMISS = Verdict(3, "DISMISS")


@without_frames
def resume(seconds):
    """A verdict: the thread may continue for `seconds`, but not beyond the cap. Then it is asked again to stop."""
    return Verdict(1, "resume", _check.seconds("resume() seconds", seconds, below=1e9))


def _incident(incident_fields):
    record, rung, deadline, cap = incident_fields
    return Incident(record, Rung(rung), deadline, cap)


@without_frames
def handler(callback, *, final=False):
    """with handler(callback): a handler of rung 2 for this block; with final=True one of rung 3.

    If the interrupt is not heeded in time, callback(Incident) runs on the interrupted thread, at its next interruption point
    (check_interrupt(), or an interruptible blocking call), but never in a critical section.

    A rung 2 handler must return a verdict: UNWIND (or None: the point raises, as without a handler), resume(seconds), PROMOTE
    (the next outer handler runs, then the next rung) or DISMISS (clear the interrupt; not allowed from its third event on).
    An exception that the handler raises goes to sys.unraisablehook and counts as PROMOTE.

    At rung 3 the callback must not return: the exception that it raises ends the thread. If it returns, the interrupt goes on to
    the next rung.
    """
    _check.function("handler() callback", callback)

    def must_return(incident_fields):
        verdict = callback(_incident(incident_fields))
        if verdict is None:
            verdict = UNWIND
        if not isinstance(verdict, Verdict):
            raise _check.error(TypeError, "what a handler returns", "UNWIND, PROMOTE, DISMISS, resume(seconds) or None", verdict)
        return verdict.number, verdict.seconds

    def must_not_return(incident_fields):
        callback(_incident(incident_fields))
        return PROMOTE.number, 0.0

    _opt_in()
    return _bough.handler(must_not_return if final else must_return, final=final)


# ---- rung 4 --------------------------------------------------------------------------------------------------------------


@without_frames
class closer:
    """with closer(callback): if rung 4 closes the thread while the block runs, callback() is called.

    Closers run on a thread of bough, the innermost first, after the closed thread has been frozen. A thread can be frozen
    only where it holds no lock that other threads need, such as the GIL: in one of bough's waits (the end of a branch).
    Elsewhere in Python code the ladder skips rung 4 and goes on to rung 5, so put work that must be done in any case into an
    exit_tier(). The callback does not run at the normal end of the block.
    """

    def __init__(self, callback):
        self._callback = _check.function("closer() callback", callback)
        self._open = {}  # thread's ident -> its closers, the innermost last

    def __enter__(self):
        _opt_in()
        self._open.setdefault(threading.get_ident(), []).append(_bough.closer(self._callback))
        return self

    def __exit__(self, *error):
        ident = threading.get_ident()
        if ident not in self._open:
            raise RuntimeError("closer() must be left by the thread that entered it")
        _bough.closer_drop(self._open[ident].pop())
        if not self._open[ident]:
            del self._open[ident]


# ---- times and ceilings ----------------------------------------------------------------------------------------------------


class Ladder(NamedTuple):
    """The whole grace period, the cap at which the process ends and the time of each rung, in seconds; and the highest rung of each
    kind."""

    grace: float
    cap: float
    times: dict
    ceilings: dict


def _opt_in():
    from bough import _patch_stdlib  # loaded when the first setting needs it

    _patch_stdlib.opt_in()


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


@without_frames
def set_ladder(target=None, *, grace=None, cap=None, times=None, ceilings=None):
    """Set times and ceilings, for the process, a branch (by its owner) or the calling thread (its Thread, or ident).

    grace     seconds for all rungs together, to which the default times are scaled. By default BOUGH_GRACE of the environment,
              else 30 (9 as process 1)
    cap       seconds after which the process ends, for an interrupt that climbs that far
    times     {rung: seconds}
    ceilings  {kind: the highest rung}, such as {"stop": Rung.KILL}. Kinds: stop, timeout, sibling, signal, exit, operator,
              exception

    An argument that is not given is inherited from the enclosing branch or the process. The call replaces earlier settings of
    the same target.
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


@without_frames
def get_ladder(target=None):
    """The times and ceilings that apply to the process, a branch or a thread: a Ladder, with all values filled in."""
    grace, cap, times, ceilings = _bough.ladder_get(_handle("get_ladder()", target))
    return Ladder(
        grace / 1e9,
        cap / 1e9,
        {rung: ns / 1e9 for rung, ns in zip(Rung, times)},
        {kind: Rung(rung) for kind, rung in zip(KINDS, ceilings)},
    )


# ---- watching ----------------------------------------------------------------------------------------------------------------


class Transition(NamedTuple):
    """One step of an interrupt on the ladder. `after` is 0 when the incident is over, and equals `before` when it is overdue at its
    ceiling."""

    kind: str
    before: int
    after: int
    name: str  # the target's name
    why: str  # "not handled in 5.0 s"
    place: str  # where the first thread that has not ended is stuck
    source: int  # the native id of the thread that posted
    age: float  # seconds since the post
    target: int  # the target's handle
    branch: str  # the name of the branch around the target; "" at the root
    reason: str  # the interrupt's reason


_watchers = {}  # "log" or "program" -> its callback


def _watch(watcher, callback):
    """Set the function that is called at each step for a watcher; None removes it. Returns the previous one."""
    before = _watchers.pop(watcher, None)
    if callback is not None:
        _watchers[watcher] = callback
    while True:  # another thread may change the watchers before the call
        some = bool(_watchers)
        _bough.set_on_transition(_call_watchers if some else None)
        if some == bool(_watchers):
            return before


def _call_watchers(kind, *rest):
    transition = Transition(KINDS[kind], *rest)
    for watcher in "log", "program":  # the log's only stores the transition
        callback = _watchers.get(watcher)
        if callback is not None:
            callback(transition)


@without_frames
def on_transition(callback):
    """Call callback(Transition) at each step of any interrupt on the ladder; None ends that. Returns the previous callback.

    The callback runs on a thread of bough, one call at a time, and the ladder does not wait for it: while another thread holds
    the GIL the call is delayed, and if the process ends first there is no call. An exception that it raises goes to
    sys.unraisablehook.
    """
    if callback is not None:
        _check.function("on_transition() callback", callback)
    _opt_in()
    return _watch("program", callback)


# ---- the end -----------------------------------------------------------------------------------------------------------------


@without_frames
def exit_tier(tier, callback):
    """Call callback() at rung 5, when the ladder ends the process, on a thread of bough. Lower tiers run first, and within a tier
    the callback that was registered last. Together they have half of that rung's time. At an ordinary exit they do not run: use
    atexit for that."""
    _check.function("exit_tier() callback", callback)
    _check.whole("exit_tier() tier", tier, -(1 << 31), below=1 << 31)
    _opt_in()
    _bough.exit_tier(tier, callback)


@without_frames
def last_words(file=None, *, core=False):
    """Set where rung 6 writes its dump: a path (with %d for the process id), a file or a descriptor; None is standard error. With
    core=True the process ends by SIGABRT, and leaves a core file where limits allow one."""
    path, fd = _check.path_or_descriptor("last_words() file", file)
    _bough.last_words(path, fd, core)


@without_frames
def dump(file=None):
    """Write the state of this process to a file or descriptor (None: standard error): the tree, each thread's level, regions and
    records, where it is stuck, and all C stacks. For Python stacks use faulthandler.dump_traceback()."""
    _bough.dump(_check.descriptor("dump() file", sys.stderr if file is None else file))


_dump_files = {}  # signum -> the file that the dump is written to, which stays open


@without_frames
def dump_on_signal(signum, file=None, all_threads=True, chain=False):
    """Have a signal write dump() to a file or descriptor (None: standard error), as faulthandler.register() does with Python's stacks.

    The handler is written in C and does not wait for the GIL: it works while the interpreter hangs. all_threads=False writes only the
    thread that handles the signal. With chain=True the signal's previous action follows. The file has to stay open; a call for the
    same signal replaces it. For Python's stacks as well, call faulthandler.register(signum) first, and this with chain=True.
    """
    _check.whole("dump_on_signal() signum", signum, 1, below=signal.NSIG)
    if file is None and sys.stderr is None:
        raise RuntimeError("dump_on_signal(): sys.stderr is None: give a file")
    file = sys.stderr if file is None else file
    _bough.dump_on_signal(signum, _check.descriptor("dump_on_signal() file", file), bool(all_threads), bool(chain))
    _dump_files[signum] = file


@without_frames
def dump_on_signal_undo(signum):
    """Restore the signal's action from before dump_on_signal(). Returns whether that had been called for the signal."""
    _check.whole("dump_on_signal_undo() signum", signum, 1, below=signal.NSIG)
    was = _bough.dump_on_signal_undo(signum)
    _dump_files.pop(signum, None)
    return was


# ---- the service manager -----------------------------------------------------------------------------------------------------


@without_frames
def notify_ready():
    """Notify the service manager (systemd, or whatever listens at NOTIFY_SOCKET) that the process has started and is ready, which
    units with Type=notify wait for. Returns False if no service manager listens. Raises OSError if it can't be reached."""
    return _bough.notify_ready()


@without_frames
def watchdog_feed():
    """Feed the service manager's watchdog, which ends a process that does not feed it in time. bough never does that by itself: call
    this where work is done, at least twice in watchdog_interval() seconds. Returns False if there is no watchdog for this
    process. Raises OSError if the service manager can't be reached."""
    return _bough.watchdog_feed()


@without_frames
def watchdog_interval():
    """The seconds within which the watchdog has to be fed; None if there is no watchdog for this process."""
    return _bough.watchdog_interval()
