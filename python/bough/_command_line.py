# SPDX-License-Identifier: MIT
"""The command line of `python -m bough`. `run` runs its program in this interpreter; with any other arguments the process becomes
the command `bough`."""
import os
import signal
import sys
from typing import NamedTuple

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_command", "bough")
_WRONG = 2  # exit status


def main(arguments):
    """Returns the exit status, unless the process becomes the command."""
    if arguments[:1] != ["run"]:
        return execute(arguments)
    try:
        options = parse(arguments[1:])
    except Wrong as error:
        print(f"bough: {error}\n{USAGE}see `python -m bough help run`", file=sys.stderr)
        return _WRONG
    if options.help:
        return execute(["help", "run"])
    from bough import _program

    return _program.run(options)


def execute(arguments):
    """Replace this process by the command. Returns the exit status if that fails."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)  # the command would inherit that the interpreter ignores them
    try:
        os.execv(_HERE, ["bough", *arguments])
    except FileNotFoundError:
        why = "this installation of the package has no command"
        advice = "install the package again, or use the command `bough` that was installed with the C library"
        print(f"bough: {why}: there is no {_HERE}; {advice}", file=sys.stderr)
    except OSError as error:
        print(f"bough: cannot execute {_HERE}: {error.strerror}", file=sys.stderr)
    return 1


# ---- the options of run, as in cli/run.c ----------------------------------------------------------------------------------------

USAGE = (
    "usage: python -m bough run [--grace SECONDS] [--dump FILE] [--trace FILE] [--report] SCRIPT [ARGUMENT...]\n"
    "       python -m bough run [OPTIONS] -m MODULE [ARGUMENT...]\n"
    "       python -m bough run [OPTIONS] -c COMMAND [ARGUMENT...]\n"
)


class Wrong(Exception):
    """The arguments are wrong. The message says what is wrong."""


class Options(NamedTuple):
    """`how` is "script", "-m" or "-c", and `what` is the path, the module or the code."""

    how: str
    what: str
    arguments: list
    grace: float | None = None
    dump: str | None = None
    trace: str | None = None
    report: bool = False
    help: bool = False


def _seconds(text):
    """The number of seconds, within the limits of BOUGH_GRACE."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 < number < 25 * 24 * 3600:
        raise Wrong(f"--grace must be a number of seconds, more than 0 and less than 25 days, got '{text}'")
    return number


_OPTIONS = {"--grace": _seconds, "--dump": str, "--trace": str, "--report": None, "--help": None}  # None: the option takes no value


def _long(word, rest):
    """The name and the value of a long option, which may be abbreviated, as getopt_long(3) allows."""
    name, has_value, value = word.partition("=")
    found = [name] if name in _OPTIONS else [option for option in _OPTIONS if option.startswith(name)]
    if len(found) != 1:
        raise Wrong(f"unknown option {name}" if not found else f"{name} may be {' or '.join(found)}")
    (name,) = found
    take = _OPTIONS[name]
    if take is None:
        if has_value:
            raise Wrong(f"{name} takes no value")
        return name[2:], True
    if not has_value and not rest:
        raise Wrong(f"{name} needs a value")
    return name[2:], take(value if has_value else rest.pop(0))


def parse(arguments):
    rest, given = list(arguments), {}
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word == "-h":
            return Options("", "", [], help=True)
        if word[:2] in ("-m", "-c"):
            if word == word[:2] and not rest:
                raise Wrong(f"{word} needs {'a module' if word == '-m' else 'code'}")
            return Options(word[:2], word[2:] or rest.pop(0), rest, **given)
        if not word.startswith("--"):
            raise Wrong(f"unknown option {word}")
        name, value = _long(word, rest)
        if name == "help":
            return Options("", "", [], help=True)
        given[name] = value
    if not rest:
        raise Wrong("no program is given: a script, -m MODULE or -c COMMAND")
    return Options("script", rest[0], rest[1:], **given)
