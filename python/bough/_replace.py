# SPDX-License-Identifier: MIT
"""Replaces attributes of other modules and restores them; changes modules that are imported later."""
import sys
import threading
import warnings
from contextlib import contextmanager
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from types import FunctionType

from bough import _bough

lock = threading.RLock()  # held while bough replaces and restores: by opt_in(), opt_out(), and the import of a module that it changes

_undo = []  # (function, name) of each step: function() undoes it; name is what it has replaced, for the report, or None
_late = []  # (module's name, change) of modules that another thread was still importing
_missing = object()


# ---- attributes ---------------------------------------------------------------------------------------------------------


def replace(owner, name, new):
    """Replace the attribute by new(original). A class that inherits the attribute gets a separate one, which undo_all()
    deletes."""
    mine = vars(owner).get(name, _missing)
    original = getattr(owner, name) if mine is _missing else mine
    replacement = _in_its_place(new(original), owner, name)
    setattr(owner, name, replacement)
    where = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
    on_undo(lambda: _put_back(owner, name, replacement, mine), f"{where}.{name}")


def _in_its_place(replacement, owner, name):
    """Name a function after the place where it is found, because pickle needs that: the original may be a builtin of another module,
    or a method without a module."""
    if isinstance(replacement, FunctionType):
        in_class = isinstance(owner, type)
        replacement.__module__ = owner.__module__ if in_class else owner.__name__
        replacement.__qualname__ = f"{owner.__qualname__}.{name}" if in_class else name
    return replacement


def around(original, **what):
    """A function around `original` that adds no frame, because a warning's stacklevel counts frames. Its __code__ is the original's,
    which is the code that a call executes."""
    shown = (*WRAPPER_ASSIGNMENTS, "__code__", "__defaults__", "__kwdefaults__", "__globals__", "__closure__")
    return update_wrapper(_bough.around(original, **what), original, shown)


def replace_code(owner, name, new):
    """Change the method's code so that it calls new(original), a function with the same parameters. That also changes bound methods
    which were stored before; a replaced attribute would not."""
    function = getattr(owner, name)
    code = function.__code__
    original = FunctionType(code, function.__globals__, code.co_name, function.__defaults__, function.__closure__)
    original.__kwdefaults__ = function.__kwdefaults__
    original.__qualname__ = function.__qualname__
    function.__code__ = replacement = _code_that_calls(new(original), code)
    place = f"{owner.__module__}.{owner.__qualname__}.{name}"
    on_undo(lambda: function.__code__ is replacement and setattr(function, "__code__", code), place)


def _code_that_calls(function, code):
    """Code that calls `function` with the parameters of `code`. The function is one of the constants of that code."""
    names = code.co_varnames[: code.co_argcount]
    source = f"def trampoline({', '.join(names)}): return 'the function'({', '.join(names)})"
    space = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # it calls a string
        exec(source, space)
    made = space["trampoline"].__code__
    constants = tuple(function if constant == "the function" else constant for constant in made.co_consts)
    return made.replace(
        co_consts=constants, co_name=code.co_name, co_filename=__file__, co_qualname=code.co_qualname
    )


def _put_back(owner, name, replacement, mine):
    """Restore the attribute, unless other code has replaced it since: that code calls `replacement`, which calls the original."""
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
    steps = None  # of the all_or_none() block that the thread is in


_tls = _Tls()


def on_undo(function, name=None):
    """Have undo_all() call `function()`, and a second time if the first call raises an exception."""
    step = function, name
    _undo.append(step)
    if _tls.steps is not None:
        _tls.steps.append(step)


@contextmanager
def all_or_none():
    """If an exception leaves the block, undo the steps that the calling thread has made in the block."""
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
    """Undo every step, the last one first. An exception of a step, such as a Ctrl-C, is raised after all steps are undone."""
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
    """Do not interrupt functions that release, notify or start something: each takes a lock for a moment, and has no way to report
    that this failed. `names` are separated by spaces; a version of the module may lack some of them."""
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
    """The first finder of the import system. It asks the other finders for the module, and changes the module as soon as the module's
    code has run: the thread that imports an event loop often runs it next."""

    def __init__(self):
        self.changes = {}  # module's name -> functions that change the module

    def find_spec(self, name, path=None, target=None):
        changes = tuple(self.changes.get(name, ()))
        if not changes:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue  # without find_spec() it is one of the old kind, which the import system skips from 3.12 on
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _change_after_exec(spec, changes)
                return spec
        return None


_follower = _Follower()  # the only one: two would ask each other for a module


def _change_after_exec(spec, changes):
    """Give the loader an exec_module() until the module has been executed. The loader of a zip file serves several modules."""
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
    """Return a function that calls file.CHANGES[name](module), without being interrupted: the thread that imports the module may be
    an interrupted one."""

    def change(module):
        if not _bough.takes_part():
            return change_locked(module)
        with _bough.critical_section():
            return change_locked(module)

    def change_locked(module):
        changes = __import__(file, fromlist=("CHANGES",)).CHANGES
        with lock:
            if change in _follower.changes.get(name, ()):  # else opt_out() has come since the import began
                changes[name](module)

    return change


def follow_imports(files):
    """Change each module when it is imported; now, if it is loaded already. `files`: {module's name: the file of bough that changes
    it}. A file is loaded with the first of its modules, and has CHANGES, {module's name: function(module)}."""
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
    """undo_all() may call this twice."""
    for name, change in new:
        changes = _follower.changes.get(name, [])
        if change in changes:
            changes.remove(change)
    _late[:] = [late for late in _late if late not in new]


def change_late():
    """Change the modules in _late whose import has ended."""
    for name, change in _late[:]:
        module = sys.modules.get(name)
        if module is None or not getattr(getattr(module, "__spec__", None), "_initializing", False):
            try:
                _late.remove((name, change))
            except ValueError:
                continue  # another thread changes it
            if module is not None:
                change(module)


def are_late():
    return bool(_late)
