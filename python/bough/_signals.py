# SPDX-License-Identifier: MIT
"""Signals and the end of the main thread (rule 32).

SIGHUP and SIGTERM, where nobody handles them, interrupt everything: all threads at once, by a handler in C; main by a
ThreadExit out of whatever it is in, as Ctrl-C comes by a KeyboardInterrupt. When the interpreter has ended the signal is raised
again, and the exit status is the usual one.

An uncaught exception of main's, a Ctrl-C nobody caught and sys.exit() interrupt everything, too, before threads are awaited. An
ordinary end of main interrupts nobody. How main ended is shown by the last instruction of its outermost frame: it has either
returned or raised.
"""
import atexit
import os
import signal
import sys
import threading
from functools import wraps

from bough import _bough, _open_branches, _own

SIGNAL, EXIT = 3, 4  # enum bough_kind

_taken = []
_main_frame = None
_registered = _posted = _ended = False
_given_back = False  # in a forked process, until it uses bough


def take_part():
    """With the first opt-in, by whatever thread: signals are main's to take, which does it at its next bytecode."""
    global _main_frame, _registered, _given_back
    _given_back = False
    _main_frame = _outermost(sys._current_frames().get(threading.main_thread().ident))
    if not _registered:
        _registered = True
        atexit.register(_threads_have_ended)
    if threading.current_thread() is threading.main_thread():
        _take_signals()
    else:
        _bough.call_in_main(_take_signals)


def leave():
    global _main_frame
    _main_frame = None
    if threading.current_thread() is not threading.main_thread():
        return
    if _taken:
        _bough.signals(False)
    _put_back()


def _put_back():
    while _taken:
        signo = _taken.pop()
        handler = signal.getsignal(signo)  # ours, or the program's own by now
        _bough.signal_taken(signo)
        signal.signal(signo, signal.SIG_DFL if handler is _on_signal else handler)


def interpreter_ends():
    """A frame holds the variables of its module, whose finalizers would not run. A signal ends the process from here on. If one
    has come already, its next event takes the ladder's next step, and the handler in C remains."""
    global _main_frame
    _main_frame = None
    if not _bough.unhandled_signal():
        _put_back()


def take_part_in_new_process():
    """A forked process has the signals that the program had. It takes part with its first Thread, branch or post."""
    if _given_back:
        take_part()
        _bough.async_exc_resume()
        _bough.watch_again()


def _in_new_process():
    """Of the kernel's table the C side takes care, before any signal can come in."""
    global _main_frame, _posted, _ended, _given_back
    _given_back, _main_frame = _main_frame is not None or _given_back, None
    _posted = _ended = False
    while _taken:
        signo = _taken.pop()
        if signal.getsignal(signo) is _on_signal:
            signal.signal(signo, signal.SIG_DFL)


os.register_at_fork(after_in_child=_in_new_process)


def _take_signals():
    """Of the signals whose default is to end the process. A program that has a handler, or runs under nohup, keeps its setting."""
    unhandled = [signo for signo in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(signo) is signal.SIG_DFL]
    if not _bough.opted_in() or _taken or not unhandled:
        return
    _bough.die_at_the_end()
    _bough.signals(True)
    for signo in unhandled:
        _taken.append(signo)  # first: from the next step on a signal may come, and end the opt-in by its exception
        signal.signal(signo, _on_signal)
        _bough.stand_before(signo)
    if _bough.unhandled_signal():  # it came in between, and the library has posted it: nothing tells Python of it
        _bough.check_interrupt()


when_taken = None  # called with the signal's number: _program_end.py


def _on_signal(signo, frame, bough=_bough):
    """In main, also when the module's variables are gone. All others know already, unless the signal came before the handler in C stood
    in front of this one."""
    bough.signal_taken(signo)
    if not bough.was_posted(signo):
        bough.post_signal(signo)
    if when_taken is not None:
        when_taken(signo)
    bough.check_interrupt()


def is_ctrl_c(error):
    """In main, where Python raises it; also one that a nested block has grouped with other failures."""
    if threading.current_thread() is not threading.main_thread():
        return False
    grouped = isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt) is not None
    return grouped or isinstance(error, KeyboardInterrupt)


def pass_on(handle, signo=signal.SIGINT):
    """A branch has met a Ctrl-C: the event keeps its kind for the children. The record counts its events: the second one begins the
    exit, and the third one kills, as in C (rule 34)."""
    _bough.post_event(handle, SIGNAL, signal.Signals(signo).name, signo)


# ---- the end of main -----------------------------------------------------------------------------------------------


def _outermost(frame):
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


# The instructions that return. Of a code object's bytes each instruction has two.
_RETURNS = {(lambda: None).__code__.co_code[-2], (lambda value: value).__code__.co_code[-2]}


def _has_raised(frame):
    """Its last instruction was not a return. One that called a Python function may be its inline cache, which is zero there."""
    return frame is not None and frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] not in _RETURNS


def _runs(frame):
    """A process of multiprocessing shuts threading down inside of the frame, which has not raised."""
    here = sys._getframe()
    while here is not None and here is not frame:
        here = here.f_back
    return frame is not None and here is frame


def before_shutdown(original):
    """threading._shutdown(), which first calls what other modules have registered: concurrent.futures waits for its workers there."""

    @_own.without_frames
    @wraps(original)
    def _shutdown():
        try:
            _main_ends()
            _end_open_branches()
        finally:
            original()

    return _shutdown


def _end_open_branches():
    """Those that the program has not left: nothing waits for their children, who get no interpreter lock when it has ended."""
    if not _runs(_main_frame):
        _open_branches.end_with_main()


def _main_ends():
    """Before threading waits for threads that are no daemons."""
    if _bough.opted_in() and not _runs(_main_frame) and _has_raised(_main_frame):
        main_has_raised()


def main_has_raised():
    """Once: a second event of the same kind would be the next rung's."""
    if _ended or _bough.unhandled_signal():
        return
    if type(getattr(sys, "last_value", None)) is KeyboardInterrupt:  # as the interpreter, for the exit status
        interrupt_all("SIGINT", signal.SIGINT)
    else:
        interrupt_all("the main thread has ended by an exception, or an exit")


def interrupt_all(reason, signo=0):
    """The program ends: by this signal, or by an exit."""
    global _ended, _posted
    if not _ended:
        _ended = True
        _posted = not signo
        _bough.post_event(0, SIGNAL if signo else EXIT, reason, signo)


def has_interrupted_all():
    """By interrupt_all()."""
    return _ended


def _threads_have_ended():
    """Then what asked them to is done: what other modules do at their exit has all the time it wants."""
    if _posted:
        _bough.clear_exit()
