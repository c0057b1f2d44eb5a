# SPDX-License-Identifier: MIT
"""What bough does at the forks of a process and at the end of its interpreter."""
import atexit
import os

from bough import _bough

_at_end = []  # functions of other files of bough


def at_interpreter_end(function):
    """Call function() when the interpreter ends, after the functions that atexit has got since this file was loaded."""
    _at_end.append(function)


@atexit.register
def _interpreter_ends():
    """Runs after the functions that were registered later. Next the interpreter clears its modules: from then on a finalizer must
    not reach a function of this package, whose globals are gone."""
    _bough.async_exc_stop()
    for function in _at_end:
        function()


# An exception on its way to the thread that forks must not be raised in both processes.
os.register_at_fork(before=_bough.fork_begins, after_in_parent=_bough.fork_ends, after_in_child=_bough.fork_ends)
