# SPDX-License-Identifier: MIT
"""Which files belong to the package, and which functions of other modules wait for work."""
from types import FunctionType

from bough import _bough

_FILES = (
    *("_async_safe", "_block", "_branch", "_call", "_check", "_child", "_completed", "_engine", "_exceptions", "_executor", "_futures"),
    *("_green", "_log", "_loops", "_open_branches", "_own", "_patch_modules", "_patch_stdlib", "_patch_threads", "_plain", "_pools"),
    *("_process", "_program_end", "_program_tk", "_pytest", "_pytest_asyncio", "_pytest_end", "_replace", "_results", "_run"),
    *("_scope", "_signals", "_threads", "_to_thread", "_trace", "_tree", "_watch", "_where"),
    *("anyio", "celery", "dask", "joblib", "ladder", "trio"),
)

# No asynchronous exception is raised in code of these files, so each of their steps is completed.
OWN = frozenset(__file__.replace("_own", name) for name in _FILES)
HIDDEN = __file__.removesuffix("_own.py")  # tracebacks show no frames of files whose names begin with this
ITEMS = __file__.replace("_own", "_pools")  # this file calls the work items of other modules' pools

kept_out = set()  # further files like those in OWN, of a test framework: _pytest.py adds them
workers = set()  # code of functions that wait for work or report its result; an exception would end them
loops = set()  # of `workers`, the code that takes a pool's calls from its queue
items = set()  # code of functions that call a work item and catch any exception of it


def without_frames(thing):
    """A decorator for a function, or for the public methods and properties of a class: tracebacks of their exceptions show none of
    their frames, and the error of a call with wrong arguments shows the parameters."""
    if isinstance(thing, type):
        for name, value in list(vars(thing).items()):
            hidden = _hidden(value) if not name.startswith("_") or name in _SPECIAL else None
            if hidden is not None:
                setattr(thing, name, hidden)
        return thing
    wrapped = _bough.around(thing, misfit=misfit)
    for name in "__module__", "__name__", "__qualname__", "__doc__":
        setattr(wrapped, name, getattr(thing, name))
    wrapped.__wrapped__ = thing
    return wrapped


_SPECIAL = {"__call__", "__enter__", "__exit__", "__getattr__", "__init__", "__new__"}


def _hidden(value):
    if isinstance(value, FunctionType):
        return without_frames(value)
    if isinstance(value, (staticmethod, classmethod)) and isinstance(value.__func__, FunctionType):
        return type(value)(without_frames(value.__func__))
    if isinstance(value, property):
        parts = (part and without_frames(part) for part in (value.fget, value.fset, value.fdel))
        return property(*parts, value.__doc__)
    return None


def misfit(function, error):
    """Add the parameters to Python's error for a call: "f() missing 1 required positional argument: 'x'"."""
    import inspect  # few programs need it

    parameters = list(inspect.signature(function).parameters.values())
    name = function.__qualname__
    if "." in name:
        del parameters[0]
        name = name.removesuffix(".__init__").removesuffix(".__new__")
    call = f"{name}{inspect.Signature(parameters)}"
    error.args = (f"{error.args[0].replace(function.__qualname__, name)}. Call it as {call}",)


def is_own(frame):
    """Does the frame execute code of the package?"""
    return frame is not None and frame.f_code.co_filename in OWN
