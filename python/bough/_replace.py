# SPDX-License-Identifier: MIT
"""Attributes of other modules that are replaced, and put back; and changes to modules that are imported later."""
import sys
import threading
import warnings
from contextlib import contextmanager
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from types import FunctionType

from bough import _bough

_undo = []  # (function, name): the reverse of each step; what the step has replaced, for the report, or None
_late = []  # (module's name, change) of modules that another thread was still importing
_missing = object()


# ---- attributes ---------------------------------------------------------------------------------------------------------


def replace(owner, name, new):
    """Put new(original) in the attribute's place. If a class inherits the attribute, the class gets one, and undo_all()
    deletes that."""
    mine = vars(owner).get(name, _missing)
    original = getattr(owner, name) if mine is _missing else mine
    replacement = _in_its_place(new(original), owner, name)
    setattr(owner, name, replacement)
    where = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
    on_undo(lambda: _put_back(owner, name, replacement, mine), f"{where}.{name}")


def _in_its_place(replacement, owner, name):
    """Name a function by the place it is found at, as pickle needs it: the original may be a builtin of another module, or a class's
    method that knows no module."""
    if isinstance(replacement, FunctionType):
        in_class = isinstance(owner, type)
        replacement.__module__ = owner.__module__ if in_class else owner.__name__
        replacement.__qualname__ = f"{owner.__qualname__}.{name}" if in_class else name
    return replacement


def around(original, **what):
    """A function around `original` that adds no frame: a warning's stacklevel counts those. It shows the original's code, which is
    what a call of it executes."""
    shown = (*WRAPPER_ASSIGNMENTS, "__code__", "__defaults__", "__kwdefaults__", "__globals__", "__closure__")
    return update_wrapper(_bough.around(original, **what), original, shown)


def replace_code(owner, name, new):
    """Have the method itself run new(original), a function with the same parameters: so does a bound method of it that was kept
    before, which would miss an attribute that is replaced."""
    function = getattr(owner, name)
    code = function.__code__
    original = FunctionType(code, function.__globals__, code.co_name, function.__defaults__, function.__closure__)
    original.__kwdefaults__ = function.__kwdefaults__
    original.__qualname__ = function.__qualname__
    function.__code__ = replacement = _code_that_calls(new(original), code)
    place = f"{owner.__module__}.{owner.__qualname__}.{name}"
    on_undo(lambda: function.__code__ is replacement and setattr(function, "__code__", code), place)


def _code_that_calls(function, code):
    """A call of `function`, with the parameters that `code` has. The function is one of its constants."""
    names = code.co_varnames[: code.co_argcount]
    source = f"def trampoline({', '.join(names)}): return 'the function'({', '.join(names)})"
    space = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a text is not callable
        exec(source, space)
    made = space["trampoline"].__code__
    constants = tuple(function if constant == "the function" else constant for constant in made.co_consts)
    return made.replace(
        co_consts=constants, co_name=code.co_name, co_filename=__file__, co_qualname=code.co_qualname
    )


def _put_back(owner, name, replacement, mine):
    """Unless other code has replaced it since: that code calls `replacement`, which calls the original."""
    if vars(owner).get(name) is not replacement:
        return
    if mine is _missing:
        delattr(owner, name)
    else:
        setattr(owner, name, mine)


def replaced():
    """The names of all attributes that are replaced now."""
    return [name for _, name in _undo if name]


class _Tls(threading.local):
    steps = None  # of the thread's all_or_none()


_tls = _Tls()


def on_undo(function, name=None):
    """Have undo_all() call `function()`: twice if an exception came out of the first call."""
    step = function, name
    _undo.append(step)
    if _tls.steps is not None:
        _tls.steps.append(step)


@contextmanager
def all_or_none():
    """If an exception comes out of the block, the steps that the calling thread has made in it are undone."""
    _tls.steps = steps = []
    try:
        yield
    except BaseException:
        _tls.steps = None
        _undo_steps(steps, _undo.remove)
        raise
    finally:
        _tls.steps = None


def undo_all():
    """Undo every step, the last one first. If a Ctrl-C comes out of a step, all is undone before it is raised."""
    try:
        _undo_steps(_undo)
    finally:
        _late.clear()


def _undo_steps(steps, forget=lambda step: None):
    first = None
    while steps:
        function, _ = step = steps[-1]
        try:
            function()
        except BaseException as error:
            first = first or error
            function()
        steps.pop()
        forget(step)
    if first is not None:
        raise first


# ---- functions whose waits are not interrupted -----------------------------------------------------------------------------

_never_interrupted = []  # code objects


def never_interrupt(module, names):
    """Functions that give back, notify or start something: each takes a lock for a moment, and could not report that it has failed
    to. `names` are separated by spaces; a version of the module may lack some of them."""
    codes = []
    for name in names.split():
        cls, _, method = name.partition(".")
        function = getattr(getattr(module, cls), method, None)
        if hasattr(function, "__code__"):
            codes.append(function.__code__)
    _bough.set_never_interrupted(_never_interrupted + codes)
    if not _never_interrupted:
        on_undo(_interrupt_all_again)
    _never_interrupted.extend(codes)


def _interrupt_all_again():
    _bough.set_never_interrupted([])
    _never_interrupted.clear()


# ---- modules that are imported later --------------------------------------------------------------------------------------


class _Follower:
    """The first of the import system's finders. It finds a module by those after it, and changes the module when its code has run:
    an event loop is often imported by the very thread that runs it."""

    def __init__(self):
        self.changes = {}  # by the module's name: functions of the module

    def find_spec(self, name, path=None, target=None):
        changes = tuple(self.changes.get(name, ()))
        if not changes:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue  # a finder of the old sort, which the import system passes over from 3.12 on
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _change_after_exec(spec, changes)
                return spec
        return None


_follower = _Follower()  # one for all: two would look for a module by each other


def _change_after_exec(spec, changes):
    """By an attribute of the loader's instance, which is gone afterwards. The loader of a zip file serves several modules."""
    loader = spec.loader
    original = getattr(loader, "exec_module", None)
    if original is None or isinstance(loader, type):
        return

    def executed(module):
        if module.__name__ == spec.name:
            vars(loader).pop("exec_module", None)
            for change in changes:
                change(module)

    loader.exec_module = around(original, after=executed)


def _change_by(file, name):
    """file.CHANGES[name], a function of the module, as a function that no interrupt enters: an interrupted thread may be the one
    that imports the module."""

    def change(module):
        if not _bough.takes_part():
            return __import__(file, fromlist=("CHANGES",)).CHANGES[name](module)
        with _bough.critical_section():
            return __import__(file, fromlist=("CHANGES",)).CHANGES[name](module)

    return change


def follow_imports(files):
    """files: {module's name: the file of bough that changes it}. Such a file is loaded with the first of its modules, and has
    CHANGES, {module's name: function(module)}. Each function is called once: now, if the module is loaded already."""
    if _follower not in sys.meta_path:
        sys.meta_path.insert(0, _follower)
        on_undo(lambda: _follower in sys.meta_path and sys.meta_path.remove(_follower))
    new = [(name, _change_by(file, name)) for name, file in files.items()]
    for name, change in new:
        _follower.changes.setdefault(name, []).append(change)
    on_undo(lambda: _unfollow(new))
    _late.extend((name, change) for name, change in new if name in sys.modules)
    change_late()


def _unfollow(new):
    """May be called twice."""
    for name, change in new:
        changes = _follower.changes.get(name, [])
        if change in changes:
            changes.remove(change)
    _late[:] = [late for late in _late if late not in new]


def change_late():
    """Change those whose import has ended."""
    for name, change in _late[:]:
        module = sys.modules.get(name)
        if module is None or not getattr(getattr(module, "__spec__", None), "_initializing", False):
            _late.remove((name, change))
            if module is not None:
                change(module)


def are_late():
    return bool(_late)
