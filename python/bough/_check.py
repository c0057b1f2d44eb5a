# SPDX-License-Identifier: MIT
"""Checks of the public functions' arguments. An error names the function, the parameter, what was expected, what was got and, if
needed, what to do. A wrong type is a TypeError, a wrong value a ValueError."""
import os
import threading
import time
from functools import partial
from types import CoroutineType, FunctionType, MethodType

from bough import _bough
from bough._exceptions import NotAliveError

FAR = 1e9  # seconds, 31 years: a deadline that is further away is not a time of time.monotonic()
_NEAR_NOW = 1e8  # seconds: a value that is closer than this to time.time() is taken for a time of that clock

_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200  # inspect.CO_*, without the import
_ASYNC = _COROUTINE | _ITERABLE_COROUTINE | _ASYNC_GENERATOR


def error(cls, what, expected, got, advice=""):
    """`what` names the function and its parameter, as in "branch() timeout"."""
    return cls(f"{what} must be {expected}, got {shown(got)}" + (f". {advice}" if advice else ""))


def shown(value):
    """repr(value) for a message, shortened to 120 characters; the name of its class if repr() fails."""
    try:
        text = repr(value)
    except Exception:
        text = f"an object of the class {type(value).__name__}"
    return text if len(text) <= 120 else text[:117] + "..."


# ---- numbers --------------------------------------------------------------------------------------------------------


def _real(what, value, expected):
    """The value as a float. A bool is refused."""
    numeric = hasattr(type(value), "__float__") or hasattr(type(value), "__index__")
    if not numeric or isinstance(value, bool):
        advice = "Convert it with total_seconds()" if hasattr(value, "total_seconds") else ""
        raise error(TypeError, what, expected, value, advice)
    try:
        number = float(value)
    except OverflowError:
        number = float("inf") if value > 0 else float("-inf")
    if number != number:
        raise error(ValueError, what, expected, value)
    return number


def _is_of_time(number):
    """Whether this is a time of time.time(). A small number never is: without a battery, clocks may start at 1970."""
    return number > FAR and abs(number - time.time()) < _NEAR_NOW


def seconds(what, value, *, or_none=False, positive=False, below=None):
    """The value as a float that is not negative, or None."""
    if value is None and or_none:
        return None
    most = f", less than {below:g}" if below is not None else ""
    expected = f"a number of seconds, {'more than 0' if positive else '0 or more'}{most}" + ", or None" * or_none
    number = _real(what, value, expected)
    if _is_of_time(number):
        raise error(ValueError, what, expected, value, "That is a time of time.time(): give the number of seconds from now")
    if number < 0 or (positive and number == 0) or (below is not None and number >= below):
        raise error(ValueError, what, expected, value)
    return number


def wait(what, value):
    """A timeout for the interpreter's locks, as a float, or None for no limit. A negative timeout becomes 0."""
    if value is None:
        return None
    number = _real(what, value, "a number of seconds, or None")
    return None if number > threading.TIMEOUT_MAX else max(number, 0)


def deadline(what, value):
    """The value as a float, or None; inf means no deadline, as None does. The deadline may have passed already."""
    if value is None:
        return None
    expected = "a time of time.monotonic(), or None"
    at, now = _real(what, value, expected), time.monotonic()
    if _is_of_time(at):
        advice = "That is a time of time.time(): use time.monotonic() + seconds"
    elif at < 0:
        advice = "Use time.monotonic() + seconds"
    elif FAR < at - now < float("inf"):
        advice = f"That is more than {FAR:g} seconds away: use time.monotonic() + seconds, or None for no deadline"
    else:
        return at
    raise error(ValueError, what, expected, value, advice)


def whole(what, value, least, *, or_none=False, below=1 << 31):
    """The value, if it is an int in this range, or None."""
    expected = f"a whole number from {least} to {below - 1}" + ", or None" * or_none
    if value is None and or_none:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise error(TypeError, what, expected, value)
    if not least <= value < below:
        raise error(ValueError, what, expected, value)
    return value


def flag(what, value):
    """The value, if it is a bool."""
    if not isinstance(value, bool):
        raise error(TypeError, what, "True or False", value)
    return value


# ---- text -----------------------------------------------------------------------------------------------------------


def text(what, value, advice=""):
    if not isinstance(value, str):
        raise error(TypeError, what, "text", value, advice)
    return value


def reason(what, value):
    """The reason as the library stores it, or None."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise error(TypeError, f"{what} reason", "text or None", value)
    return for_library(value)


def for_library(value):
    """Text as the library stores it, in zero-terminated UTF-8: without zeros, and with '?' for characters that have no UTF-8."""
    if "\0" in value:
        value = value.replace("\0", "")
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


# ---- functions ------------------------------------------------------------------------------------------------------


def function(what, value, *, result_is_kept=False, advice=None, of_async=None):
    """The value, if it is a function whose call executes its body. A coroutine function and an asynchronous generator function are
    refused, and a generator function unless its result is kept. `advice` replaces the advice of the message about a generator
    function, `of_async` that about an asynchronous function."""
    if not callable(value):
        of_coroutine = "Give asyncio.run as the function and the coroutine as its argument"
        of_result = "Give the function itself, without calling it"
        raise error(TypeError, what, "a function", value, of_coroutine if isinstance(value, CoroutineType) else of_result)
    flags = _flags(value)
    if flags & _ASYNC:
        of_async = of_async or "Its call executes nothing: give a function that runs it by asyncio.run()"
        raise error(TypeError, what, "a function that is not async", value, of_async)
    if flags & _GENERATOR and not result_is_kept:
        advice = advice or "Its call executes nothing: iterate over it"
        raise error(TypeError, what, "a function, not a generator function", value, advice)
    return value


def closing(what, things):
    """Each object must have a close() method. A coroutine function is refused, since its call would close nothing."""
    for thing in things:
        if not hasattr(thing, "close"):
            raise error(TypeError, what, "an object with a close() method, or a list of such", thing)
        function(f"{what}: close()", thing.close)


def _flags(value):
    """co_flags of the code that a call of `value` executes, or 0 if that is not Python code."""
    while type(value) is not FunctionType:
        if isinstance(value, (MethodType, staticmethod)):
            value = value.__func__
        elif isinstance(value, partial):
            value = value.func
        else:
            value = getattr(type(value), "__call__", None)
            if not isinstance(value, FunctionType):
                return 0
    return value.__code__.co_flags


def result(name, value):
    """An error if a child's function has returned a coroutine that was never started, so that nothing was executed; else None.
    function() can't detect this earlier, in a lambda or a decorator that calls a coroutine function."""
    if value.cr_running or value.cr_suspended or value.cr_frame is None:
        return None
    value.close()
    return TypeError(f"{name} has returned {shown(value)} and executed nothing of it. Run it by asyncio.run() in the child")


# ---- threads --------------------------------------------------------------------------------------------------------


def ident(what, thread):
    """The ident of a threading.Thread that has been started. An ident is returned unchanged."""
    if isinstance(thread, threading.Thread):
        if thread.ident is None:
            raise NotAliveError(f"{what}: {shown(thread)} has not been started. Call start() first")
        return thread.ident
    if not isinstance(thread, int) or isinstance(thread, bool):
        advice = "Call its method of that name" if hasattr(thread, "raise_exc") else ""
        raise error(TypeError, what, "a threading.Thread, its name or its ident", thread, advice)
    if not 0 < thread < 1 << 64:
        raise NotAliveError(f"{what}: there is no thread with the ident {thread}, or it has ended")
    return thread


def alive(what, thread, look_up):
    """look_up(ident). A new thread may get the ident of one that has ended, but if `thread` is alive after the look-up, the look-up
    has found that thread."""
    number = ident(what, thread)
    try:
        found = look_up(number)
    except NotAliveError as error:
        found, why = None, str(error)
    if isinstance(thread, threading.Thread) and not thread.is_alive():
        raise NotAliveError(f"{what}: {shown(thread)} has ended")
    if found is None:
        raise NotAliveError(f"{what}: {why}")
    return found


def thread(what, given):
    """bough's number of the thread, which is never used again for another thread."""
    return alive(what, _with_name(what, given) if isinstance(given, str) else given, _bough.id_of)


def _with_name(what, name):
    """The only live thread of this name."""
    found = [thread for thread in list(threading._active.values()) if thread.name == name]
    if not found:
        raise NotAliveError(f"{what}: there is no thread with the name {shown(name)}, or it has ended")
    if len(found) > 1:
        raise error(ValueError, what, "the name of one thread", name, f"{len(found)} threads have it: give the thread or its ident")
    return found[0]


# ---- files ----------------------------------------------------------------------------------------------------------


def descriptor(what, file):
    """The descriptor of an open file, whose buffer is written first. A descriptor is returned unchanged."""
    if isinstance(file, int) and not isinstance(file, bool):
        return file
    try:
        fileno, flush = file.fileno, getattr(file, "flush", None)
    except AttributeError:
        advice = "Give open(path, 'a')" if isinstance(file, (str, bytes, os.PathLike)) else ""
        raise error(TypeError, what, "an open file or a descriptor", file, advice) from None
    if flush is not None:
        flush()
    return fileno()


def path_or_descriptor(what, file):
    """(path, -1) or (None, descriptor); (None, -1) for None."""
    if file is None:
        return None, -1
    if isinstance(file, (str, bytes, os.PathLike)):
        return os.fsdecode(file), -1
    return None, descriptor(what, file)
