# SPDX-License-Identifier: MIT
"""Tk's main loop in a program that `bough run` runs. It waits inside Tcl, and looks for signals after each event only: where none
comes, a Ctrl-C and a SIGTERM would wait for the user's next movement. A timer of Tcl's is such an event. And a Ctrl-C that comes while
a function of the program's runs for an event would only be printed."""
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
        pass  # the window was destroyed, and its interpreter with it


def _passing_ctrl_c_on(original):
    """For Misc._report_exception(), which tkinter calls in its `except` for such a function; it lets a SystemExit through by itself."""

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
