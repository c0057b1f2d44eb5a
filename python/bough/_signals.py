# SPDX-License-Identifier: MIT
"""Signals and the end of the main thread (rule 32).

SIGHUP and SIGTERM, if the program does not handle them, interrupt everything: all threads at once, by a handler in C. Main gets a
ThreadExit wherever it is, as it gets a KeyboardInterrupt for Ctrl-C. When the interpreter has ended, the signal is raised again, so
the exit status is the usual one.

An exception that main does not catch, a Ctrl-C included, and sys.exit() interrupt everything as well, before the interpreter waits
for threads. A normal end of main interrupts nothing. The last instruction of main's outermost frame shows whether main has returned
or raised an exception.
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
_registered = _posted = _ended = _is_asked = False
_may_end = [True]  # one thread takes this item out, and interrupts all
_given_back = False  # True in a forked process until it uses bough


def take_part():
    """Called at the first opt-in, by any thread. Only main can set signal handlers: it does so at its next bytecode."""
    global _main_frame, _registered, _given_back, _is_asked
    _given_back = False
    _main_frame = _outermost(sys._current_frames().get(threading.main_thread().ident))
    if not _registered:
        _registered = True
        atexit.register(_threads_have_ended)
    if threading.current_thread() is threading.main_thread():
        _take_signals()
    elif not _is_asked:  # only a few calls can be pending while main makes no step
        _is_asked = True
        try:
            _bough.call_in_main(_take_signals)
        except BaseException:
            _is_asked = False
            raise


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
        handler = signal.getsignal(signo)  # _on_signal, or one that the program has set since
        _bough.signal_taken(signo)
        signal.signal(signo, signal.SIG_DFL if handler is _on_signal else handler)


def interpreter_ends():
    """Forget main's frame, which keeps the variables of its module, so that their finalizers run. From here on a signal ends the
    process. If one has come already, the handler in C remains, and the next one takes the ladder's next step."""
    global _main_frame
    _main_frame = None
    if not _bough.unhandled_signal():
        _put_back()


def take_part_in_new_process():
    """A forked process has the signal settings of the program. Its first Thread, branch or post opts it in again."""
    if _given_back:
        take_part()
        _bough.async_exc_resume()
        _bough.watch_again()


def _in_new_process():
    """Forget the parent's signals. The C side has restored the kernel's signal actions before any signal can come."""
    global _main_frame, _posted, _ended, _given_back, _is_asked
    _given_back, _main_frame = _main_frame is not None or _given_back, None
    _posted = _ended = _is_asked = False
    _may_end[:] = [True]
    while _taken:
        signo = _taken.pop()
        if signal.getsignal(signo) is _on_signal:
            signal.signal(signo, signal.SIG_DFL)


os.register_at_fork(after_in_child=_in_new_process)


def _take_signals():
    """Handle SIGHUP and SIGTERM if their action is the default. A program with a handler, or under nohup, keeps its setting."""
    global _is_asked
    _is_asked = False
    unhandled = [signo for signo in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(signo) is signal.SIG_DFL]
    if not _bough.opted_in() or _taken or not unhandled:
        return
    _bough.die_at_the_end()
    _bough.signals(True)
    for signo in unhandled:
        _taken.append(signo)  # first: after the next step a signal may come, whose exception ends the opt-in
        signal.signal(signo, _on_signal)
        _bough.stand_before(signo)
    if _bough.unhandled_signal():  # it came in between: the library has posted it, but Python was not notified
        _bough.check_interrupt()


when_taken = None  # a function of the signal's number, which _program_end.py sets


def _on_signal(signo, frame, bough=_bough):
    """Runs in main, also when the module's variables are gone. The other threads are interrupted already, unless the signal came
    before the handler in C was put in front of this one."""
    bough.signal_taken(signo)
    if not bough.was_posted(signo):
        bough.post_signal(signo)
    if when_taken is not None:
        when_taken(signo)
    bough.check_interrupt()


def is_ctrl_c(error):
    """Is this main's KeyboardInterrupt? Only main gets one; a nested block may have grouped it with other failures."""
    if threading.current_thread() is not threading.main_thread():
        return False
    grouped = isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt) is not None
    return grouped or isinstance(error, KeyboardInterrupt)


def pass_on(handle, signo=signal.SIGINT):
    """Post a signal to a branch, whose children then get a record of that kind. The record counts its events: the second begins the
    exit, and the third kills, as in C (rule 34)."""
    _bough.post_event(handle, SIGNAL, signal.Signals(signo).name, signo)


# ---- the end of main -----------------------------------------------------------------------------------------------


def _outermost(frame):
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


# The opcodes of the instructions that return. An instruction has two bytes.
_RETURNS = {(lambda: None).__code__.co_code[-2], (lambda value: value).__code__.co_code[-2]}


def _has_raised(frame):
    """Was the last instruction not a return? After a call of a Python function it may be an inline cache, whose bytes are 0."""
    return frame is not None and frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] not in _RETURNS


def _runs(frame):
    """Is the frame running? A process of multiprocessing shuts threading down inside main's frame, which has not raised."""
    here = sys._getframe()
    while here is not None and here is not frame:
        here = here.f_back
    return frame is not None and here is frame


def before_shutdown(original):
    """For threading._shutdown(), which first calls functions of other modules: concurrent.futures waits for its workers there."""

    @_own.without_frames
    @wraps(original)
    def _shutdown():
        try:
            _main_ends()
            _end_open_branches()
        finally:
            original()
            _threads_have_ended()

    return _shutdown


def _end_open_branches():
    """End the branches that the program has not left: their children could not get the GIL after the interpreter's end."""
    if not _runs(_main_frame):
        _open_branches.end_with_main()


def _main_ends():
    """Called before threading waits for threads that are not daemons."""
    if _bough.opted_in() and not _runs(_main_frame) and _has_raised(_main_frame):
        main_has_raised()


def main_has_raised():
    """Interrupt everything once: a second event of the same kind would take the next rung."""
    if _ended or _bough.unhandled_signal():
        return
    if type(getattr(sys, "last_value", None)) is KeyboardInterrupt:  # then the interpreter, too, ends as by SIGINT
        interrupt_all("SIGINT", signal.SIGINT)
    else:
        interrupt_all("the main thread has ended by an exception, or an exit")


def interrupt_all(reason, signo=0):
    """Interrupt all threads, because the program ends by this signal or, without one, by an exit."""
    global _ended, _posted
    try:
        _may_end.pop()
    except IndexError:
        return  # another thread does it
    _ended = True
    _posted = not signo
    _bough.post_event(0, SIGNAL if signo else EXIT, reason, signo)


def has_interrupted_all():
    """Was interrupt_all() called?"""
    return _ended


def _threads_have_ended():
    """Clear the exit's record, so that the exit functions of other modules have no time limit."""
    if _posted:
        _bough.clear_exit()
