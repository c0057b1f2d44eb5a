# SPDX-License-Identifier: MIT
"""`python -m bough` executes the command `bough`; `python -m bough run PROGRAM` runs a Python program in this interpreter."""
import os
import sys


def _leave_working_directory():
    """Remove the working directory from sys.path. `python -m` puts it first, so its files would shadow modules of the standard
    library. _program.py sets the path for the program that runs."""
    try:
        if not sys.flags.safe_path and sys.path[0] == os.getcwd():
            del sys.path[0]
    except OSError:
        pass  # the directory was removed, so the interpreter has not put it on the path


if __name__ == "__main__":
    _leave_working_directory()
    from bough._command_line import main

    status = main(sys.argv[1:])
    if status:  # not for status 0: sys.exit() interrupts threads that an ordinary end waits for
        sys.exit(status)
