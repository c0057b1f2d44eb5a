# SPDX-License-Identifier: MIT
"""`python -m bough run`: runs a program as the interpreter would, with bough's pools, threads and ladder.

This file does what `python PROGRAM` does: it sets sys.argv, sys.path[0], the module __main__ and its names, and prints the
interpreter's error messages. _program_end.py ends the program's threads.
"""
import os
import sys
from functools import partial
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import ModuleType

from bough import _bough, _patch_stdlib, _program_end, _trace, ladder

_NOT_READ = 2  # the interpreter's exit status for a file that can't be read


class _NotFound(Exception):
    """Its arguments: the message and the exit status that the interpreter would give."""


def run(options):
    """Returns the exit status."""
    load = {"-m": _module, "-c": _command}.get(options.how, _script)
    sys.argv = [options.how if load is not _script else options.what, *options.arguments]
    _opt_in(options)
    _main_module(__loader__=BuiltinImporter)
    try:
        start = load(options.what)
    except _NotFound as error:
        message, status = error.args
        print(f"{sys.executable}: {message}", file=sys.stderr)
        return status
    except BaseException as error:
        return _not_loaded(error)
    with _program_end.of_main() as end:
        end.raised = not start(vars(sys.modules["__main__"]))
    return int(end.raised)


def _opt_in(options):
    _patch_stdlib.opt_in(pools=True, threads=True)
    if options.grace is not None:
        ladder.set_ladder(grace=options.grace)
    if options.dump is not None:
        ladder.last_words(options.dump)
    if options.trace is not None:
        _trace.trace(options.trace)
    _program_end.take_part()
    if options.report:
        print(_patch_stdlib.report(), file=sys.stderr)


def _not_loaded(error):
    """Print an error of loading, such as a SyntaxError, without the frames that have read the file."""
    trace = error.__traceback__
    while trace is not None and _is_loader(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    _bough.print_uncaught(error.with_traceback(trace))
    return 1


def _is_loader(file):
    return file in (__file__, "<frozen runpy>") or file.startswith("<frozen importlib.")


# ---- the kinds of programs: each function finds the program, and returns a function that runs it ---------------------------


def _main_module(**names):
    """Replace the module __main__ by one as the interpreter makes it."""
    main = ModuleType("__main__")
    before = vars(sys.modules["__main__"])
    if "__annotations__" in before:  # until 3.13
        names["__annotations__"] = {}
    if sys.version_info >= (3, 15):
        names.pop("__cached__", None)
    vars(main).update(names, __builtins__=before["__builtins__"])
    sys.modules["__main__"] = main


def _path_begins_with(folder):
    if not sys.flags.safe_path:
        sys.path.insert(0, folder)


def _command(text):
    _path_begins_with("")
    if sys.version_info >= (3, 13):  # tracebacks show the lines of the command
        import linecache

        linecache.cache["<string>"] = len(text), None, text.splitlines(keepends=True), "<string>"
    return partial(_bough.run_code, compile(text, "<string>", "exec", dont_inherit=True))


def _standard_input():
    _path_begins_with("")
    _main_module(__loader__=BuiltinImporter, __file__="<stdin>", __cached__=None)
    return partial(_bough.run_file, 0, "<stdin>")


def _module(name):
    import runpy

    _path_begins_with(os.getcwd())
    return _by_runpy(lambda: runpy._get_module_details(name, runpy._Error))


def _folder_or_archive(path):
    import runpy

    sys.path.insert(0, path)
    return _by_runpy(lambda: runpy._get_main_module_details(runpy._Error))


def _by_runpy(details):
    import runpy

    try:
        _, spec, code = details()
    except runpy._Error as error:
        raise _NotFound(str(error), 1) from None
    if sys.argv[0] == "-m":
        sys.argv[0] = spec.origin
    names = {"file": spec.origin, "cached": spec.cached, "loader": spec.loader, "package": spec.parent, "spec": spec}
    _main_module(**{f"__{name}__": value for name, value in names.items()})
    return partial(_bough.run_code, code)


def _script(path):
    from pkgutil import get_importer

    if path == "-":
        return _standard_input()
    file = path if os.path.isabs(path) else f"{os.getcwd()}/{path}"
    if get_importer(file) is not None:
        return _folder_or_archive(file)
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _NotFound(f"can't open file {file!r}: [Errno {error.errno}] {error.strerror}", _NOT_READ) from None
    _path_begins_with(os.path.dirname(os.path.realpath(path)))
    compiled = path.endswith(".pyc")
    loader = (SourcelessFileLoader if compiled else SourceFileLoader)("__main__", file)
    _main_module(__file__=file, __cached__=None, __loader__=loader)
    if not compiled:
        return partial(_bough.run_file, fd, file)
    os.close(fd)
    return partial(_bough.run_code, loader.get_code("__main__"))
