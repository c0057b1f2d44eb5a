# SPDX-License-Identifier: MIT
"""Checks as TAP: each is a generator of faults, with a docstring that says what holds if there are none."""
import contextlib
import os
import random
import socket
import sys
from pathlib import Path


class Skip(Exception):
    """A check that cannot run here: the reason."""


# Before a command: it can't start a process. Root is not limited, so it runs as another user, who may still see root's processes.
_CAPABILITIES = "+sys_ptrace,+dac_override,+kill"
WITHOUT_PROCESSES = ["prlimit", "--nproc=0"]
if os.geteuid() == 0:
    WITHOUT_PROCESSES[:0] = ["setpriv", "--reuid=65534", f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"]


def free_port():
    """A port that no program has at the moment, and that the kernel gives to no connection before a server has taken it."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", random.SystemRandom().randrange(first // 2, first)))
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
