# SPDX-License-Identifier: MIT
"""
Opts in at the start of an interpreter: `opted.opt_in("main")` for the main thread, `opted.opt_in("every")` for every
thread. replace_executor() replaces the standard executor instead.

compare.py copies this file into a virtual environment, whose .pth file calls one of them. So each process that a test
starts opts in too, unless the test runs it without `site`.
"""
import contextlib
import functools
import sys

_done = False


def opted_in():
    """A context manager that does nothing in another interpreter, where bough can't be imported."""
    try:
        import bough
    except ImportError as error:
        if "subinterpreters" not in str(error):
            raise
        return contextlib.nullcontext()
    return bough.set_enable_io_interrupt()


class Starting:
    """The function of a new thread, which opts in first. Exceptions that `_thread` reports name the function itself."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *args, **kwargs):
        with opted_in():
            return self.function(*args, **kwargs)

    def __repr__(self):
        return repr(self.function)


def with_each_thread(start):
    @functools.wraps(start)
    def start_opted_in(*args, **kwargs):
        if args and callable(args[0]):
            args = (Starting(args[0]), *args[1:])
        return start(*args, **kwargs)

    return start_opted_in


def replace_starts():
    """Must run before threading is imported, which keeps references to _thread's functions. Another interpreter's
    _thread is a copy, with the functions replaced already."""
    import _thread

    assert "threading" not in sys.modules, "threading was imported before bough's test could replace what starts threads"
    for name in ("start_new_thread", "start_new", "start_joinable_thread"):
        if hasattr(_thread, name) and not hasattr(getattr(_thread, name), "__wrapped__"):
            setattr(_thread, name, with_each_thread(getattr(_thread, name)))


def replace_executor():
    """Puts bough's executor in the place of concurrent.futures.ThreadPoolExecutor."""
    global _done
    if _done:
        return
    _done = True
    import concurrent.futures
    import concurrent.futures.thread

    import bough

    concurrent.futures.ThreadPoolExecutor = concurrent.futures.thread.ThreadPoolExecutor = bough.ThreadPoolExecutor


def opt_in(who):
    """Opts in once, although `site` executes the .pth file twice if the environment has the system's packages."""
    global _done
    if _done:
        return
    _done = True
    if who == "every":
        replace_starts()
    opted_in().__enter__()  # until the process ends
