# SPDX-License-Identifier: MIT
"""What bough needs of a process: what to do at its forks and at its end."""
import atexit
import os

from bough import _bough

_at_end = []  # functions of files that import this one


def at_interpreter_end(function):
    """Call it when the interpreter ends, after the functions that a program has registered with atexit since this file was loaded."""
    _at_end.append(function)


@atexit.register
def _interpreter_ends():
    """The last of the functions that are registered after it. From here on the interpreter takes its modules apart: what code does
    in a finalizer then must not come to a function of this package, whose names are gone."""
    _bough.async_exc_stop()
    for function in _at_end:
        function()


# An exception on its way to the thread that forks must not come in in both processes.
os.register_at_fork(before=_bough.fork_begins, after_in_parent=_bough.fork_ends, after_in_child=_bough.fork_ends)
