# SPDX-License-Identifier: MIT
"""The arguments of `python -m bough`: those of the command `bough`, which is executed."""
import os
import signal
import sys

_HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_command", "bough")


def main(arguments):
    """Returns the exit status, if the process does not become the command."""
    return execute(arguments)


def execute(arguments):
    """Become the command."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)  # the interpreter ignores them, and the command would
    try:
        os.execv(_HERE, ["bough", *arguments])
    except FileNotFoundError:
        why = "this installation of the package has no command"
        advice = "install the package again, or use the command `bough` that was installed with the C library"
        print(f"bough: {why}: there is no {_HERE}; {advice}", file=sys.stderr)
    except OSError as error:
        print(f"bough: cannot execute {_HERE}: {error.strerror}", file=sys.stderr)
    return 1
