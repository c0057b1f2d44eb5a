# SPDX-License-Identifier: MIT
"""`python -m bough`: the command `bough`, and `python -m bough run PROGRAM`, which runs a Python program."""
import os
import sys


def _leave_working_directory():
    """`python -m` puts it first on the path, where its files would stand for modules of the standard library; the program gets
    a path of its own."""
    try:
        if not sys.flags.safe_path and sys.path[0] == os.getcwd():
            del sys.path[0]
    except OSError:
        pass  # it was removed, so the interpreter has put none there


if __name__ == "__main__":
    _leave_working_directory()
    from bough._command_line import main

    status = main(sys.argv[1:])
    if status:  # an exit interrupts what an ordinary end waits for
        sys.exit(status)
