# SPDX-License-Identifier: MIT
"""The exceptions that users see, and functions that examine exceptions. This file imports no other Python file of the package."""
from threading import ThreadError  # an alias of RuntimeError

from bough import _bough

__all__ = ["ThreadExit", "Interrupted", "MultipleError", "NotAliveError", "NoResultError"]


class ThreadExit(SystemExit):
    """Raised in a thread that was interrupted. `record` holds the thread that asked, the reason and the time.

    If it is not caught, it ends the thread silently. After catching it, clear the interrupt (`ThreadExit.clear()` or
    `clear_interrupt()`): until then every interruption point raises it again.
    """

    record = None

    # The exit status of a main thread that does not catch it.
    code = property(_bough.exit_status, SystemExit.code.__set__)

    def __str__(self):
        if self.args or self.record is None:
            return super().__str__()
        return self.record.reason or self.record.kind

    def __repr__(self):
        if self.args or self.record is None:
            return super().__repr__()
        return f"<ThreadExit: {self.record.kind}, {self.record.reason or 'no reason given'}>"

    @staticmethod
    def clear():
        """Clear the calling thread's interrupts. Returns whether there were any."""
        return _bough.clear_interrupt()


ThreadExit.__module__ = "bough"
Interrupted = ThreadExit

_bough.register(ThreadExit)


class NotAliveError(ThreadError, ValueError):
    """The target of a post has ended, or has not been started. This is a threading.ThreadError and a ValueError."""


NotAliveError.__module__ = "bough"


class NoResultError(RuntimeError):
    """A child has no result: it still runs, was interrupted, was not started or is lost; or it has failed, and its block has raised
    the exception."""


NoResultError.__module__ = "bough"


class MultipleError(BaseExceptionGroup):
    """Several failures of one branch, for except*. `exceptions` has them, the earliest first. If all of them are Exceptions,
    this is an ExceptionGroup as well."""

    def __new__(cls, message, errors):
        if cls is MultipleError and all(isinstance(error, Exception) for error in errors):
            cls = _MultipleExceptions
        return super().__new__(cls, message, errors)

    def derive(self, errors):
        """split() and subgroup() call this."""
        return MultipleError(self.message, errors)

    def __reduce__(self):
        return MultipleError, (self.message, list(self.exceptions)), self.__dict__ or None

    @property
    def primary(self):
        """The failure that came first."""
        return self.exceptions[0]


class _MultipleExceptions(MultipleError, ExceptionGroup):
    pass


for _class in (MultipleError, _MultipleExceptions):
    _class.__module__, _class.__qualname__, _class.__name__ = "bough", "MultipleError", "MultipleError"


def is_a_stop(error):
    """Whether an interrupt or terminate() has raised this exception: then the child was stopped and has not failed."""
    if isinstance(error, ThreadExit):
        return True
    return isinstance(error, SystemExit) and getattr(error, "_bough_terminates", False)


def consists_of(error, test):
    """Whether test() is true for the exception or, if it is a group, for all exceptions in the group."""
    if isinstance(error, BaseExceptionGroup):
        return all(consists_of(inner, test) for inner in error.exceptions)
    return test(error)


def leaves_of(error):
    """The exception or, if it is a group, all exceptions in the group and in its subgroups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves_of(inner)
    else:
        yield error


def raise_as_it_is(error):
    """Keep the exception's context: `raise` would set it to the interrupt, which the caller has handled."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context


def add_note(error, note):
    """Add a note once: several children may raise the same instance. An exception may refuse notes."""
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except Exception:
        pass


def in_a_line(error):
    """The exception as a line of text, for the library's tree of errors, which the command `bough` shows."""
    try:
        text = f"{type(error).__name__}: {error}"
        return text[:200].replace("\0", "").encode("utf-8", "replace").decode()
    except Exception:
        return type(error).__name__
