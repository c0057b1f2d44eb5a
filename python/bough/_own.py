# SPDX-License-Identifier: MIT
"""Which code is the package's own, and which functions of other modules wait for work."""
from bough import _bough

_FILES = (
    *("_async_safe", "_block", "_branch", "_check", "_child", "_completed", "_exceptions", "_futures", "_green", "_loops"),
    *("_open_branches", "_own", "_patch_stdlib", "_plain", "_pools", "_process", "_replace", "_results", "_run", "_scope", "_threads", "_where"),
)

# No exception comes into these files asynchronously: each of their steps is completed.
OWN = frozenset(__file__.replace("_own", name) for name in _FILES)
ITEMS = __file__.replace("_own", "_pools")  # calls the work items of other modules' pools

workers = set()  # code of functions that wait for work or report its result, and would end by an exception
items = set()  # code of functions that call a work item and keep its exception, whatever that is


def without_frames(function):
    """A decorator: no frame of the function's own is in the traceback of what it raises."""
    wrapped = _bough.around(function)
    for name in "__module__", "__name__", "__qualname__", "__doc__":
        setattr(wrapped, name, getattr(function, name))
    wrapped.__wrapped__ = function
    return wrapped


def is_own(frame):
    """Does the frame execute code of the package?"""
    return frame is not None and frame.f_code.co_filename in OWN
