# SPDX-License-Identifier: MIT
"""Tk's main loop in a program that `bough run` runs. The loop waits inside Tcl and checks for signals only after an event: a Ctrl-C
or SIGTERM would have no effect until the user's next movement. So a Tcl timer makes events. A Ctrl-C that comes in an event's
callback is raised, which tkinter would only print."""
import sys
from functools import wraps

from bough import _own, _replace

EVERY = 100  # ms

_TIMER = "proc ::bough_wakes {} {set ::bough_timer [after %d ::bough_wakes]}; ::bough_wakes" % EVERY


def _looking_for_signals(interpreter_of):
    def new(original):
        @_own.without_frames
        @wraps(original)
        def mainloop(*args, **kwargs):
            interpreter = interpreter_of(*args)
            interpreter.eval(_TIMER)
            try:
                return original(*args, **kwargs)
            finally:
                _stop(interpreter)

        return mainloop

    return new


def _stop(interpreter):
    try:
        interpreter.eval("after cancel $::bough_timer")
    except Exception:
        pass  # the window was destroyed, and its Tcl interpreter with it


def _passing_ctrl_c_on(original):
    """For Misc._report_exception(), which tkinter calls in its `except` around a callback. tkinter raises only a SystemExit."""

    @wraps(original)
    def _report_exception(self):
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            raise
        original(self)

    return _report_exception


def _tkinter(module):
    if hasattr(module.Misc, "_report_exception"):
        _replace.replace(module.Misc, "_report_exception", _passing_ctrl_c_on)
    _replace.replace(module.Misc, "mainloop", _looking_for_signals(lambda widget, *_: widget.tk))
    _replace.replace(module, "mainloop", _looking_for_signals(lambda *_: module._get_default_root("run the main loop").tk))


CHANGES = {"tkinter": _tkinter}
