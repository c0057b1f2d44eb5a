# SPDX-License-Identifier: MIT
"""`python -m bough`: the command `bough`."""
import os
import sys


def _leave_working_directory():
    """`python -m` puts it first on the path, where its files would stand for modules of the standard library."""
    try:
        if not sys.flags.safe_path and sys.path[0] == os.getcwd():
            del sys.path[0]
    except OSError:
        pass  # it was removed, so the interpreter has put none there


if __name__ == "__main__":
    _leave_working_directory()
    from bough._command_line import main

    sys.exit(main(sys.argv[1:]))
