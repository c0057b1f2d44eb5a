# SPDX-License-Identifier: MIT
"""Ends the branches that the calling thread has left open, when the thread ends. Only methods of Branch are needed for that."""
from _warnings import warn

from bough import _bough
from bough._exceptions import MultipleError

THREAD_ENDED = "was still open when its thread ended"
MAIN_ENDED = "was still open when main ended"


def end_all_of_this_thread():
    """Called at a child's end for branches that it has left open in generators. Returns the child's exception, or None."""
    opened = _bough.branches_in(None)
    if not opened:
        return None
    errors = [b._end_out_of_order(THREAD_ENDED) for b in opened if b._is_open]
    return MultipleError("branches were left open", errors) if len(errors) > 1 else errors[0] if errors else None


def end_with_main():
    """Called by main when it ends. A block that is suspended in a generator is closed later, and then raises nothing."""
    for opened in _bough.branches_in(None):
        if opened._is_open and not opened._is_inherited:
            opened._ended_with_main = True
            warn(str(opened._end_out_of_order(MAIN_ENDED)), ResourceWarning, source=opened)
