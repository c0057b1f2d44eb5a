# SPDX-License-Identifier: MIT
"""Tk's main loop in a program that `bough run` runs. It waits inside Tcl, and looks for signals after each event only: where none
comes, a Ctrl-C and a SIGTERM would wait for the user's next movement. A timer of Tcl's is such an event."""
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


def _tkinter(module):
    _replace.replace(module.Misc, "mainloop", _looking_for_signals(lambda widget, *_: widget.tk))
    _replace.replace(module, "mainloop", _looking_for_signals(lambda *_: module._get_default_root("run the main loop").tk))


CHANGES = {"tkinter": _tkinter}
