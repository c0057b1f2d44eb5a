# SPDX-License-Identifier: MIT
"""The branches that the calling thread has open, which end with it. They call methods of Branch, and need no more of it."""
from _warnings import warn

from bough import _bough
from bough._exceptions import MultipleError

THREAD_ENDED = "was still open when its thread ended"
MAIN_ENDED = "was still open when main ended"


def end_all_of_this_thread():
    """At a child's end, of those that it has left open in generators. An exception to fail with, or None."""
    opened = _bough.branches_in(None)
    if not opened:
        return None
    errors = [b._end_out_of_order(THREAD_ENDED) for b in opened if b._is_open]
    return MultipleError("branches were left open", errors) if len(errors) > 1 else errors[0] if errors else None


def end_with_main():
    """By main, when it ends. A block that is suspended in a generator is closed later, and has nothing to say then."""
    for opened in _bough.branches_in(None):
        if opened._is_open and not opened._is_inherited:
            opened._ended_with_main = True
            warn(str(opened._end_out_of_order(MAIN_ENDED)), ResourceWarning, source=opened)
