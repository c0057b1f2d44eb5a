# SPDX-License-Identifier: MIT
"""Checks as TAP: each is a generator of faults, with a docstring that says what holds if there are none."""
import socket
import sys


class Skip(Exception):
    """A check that cannot run here: the reason."""


def free_port():
    """A port that no program has at the moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(checks):
    """Runs them all, and exits."""
    print(f"1..{len(checks)}")
    failed = 0
    for number, check in enumerate(checks, 1):
        skipped = ""
        try:
            faults = list(check())
        except Skip as reason:
            faults, skipped = [], f" # SKIP {reason}"
        except Exception as error:  # a file, a key or a tool that is missing is a fault as well
            faults = [repr(error)]
        failed += bool(faults)
        print(f"{'not ' if faults else ''}ok {number} - {' '.join((check.__doc__ or check.__name__).split())}{skipped}", flush=True)
        for fault in faults:
            print("#", fault.replace("\n", "\n# "))
    sys.exit(failed > 0)
