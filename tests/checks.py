# SPDX-License-Identifier: MIT
"""Checks as TAP: each is a generator of faults. Its docstring is the property that holds if there are none."""
import contextlib
import os
import random
import socket
import sys
from pathlib import Path


class Skip(Exception):
    """Raised by a check that cannot run here, with the reason."""


# Put before a command, this prevents it from starting a process. The limit does not apply to root, so the command then
# runs as another user, with the capabilities that it needs to examine root's processes.
_CAPABILITIES = "+sys_ptrace,+dac_override,+kill"
WITHOUT_PROCESSES = ["prlimit", "--nproc=0"]
if os.geteuid() == 0:
    WITHOUT_PROCESSES[:0] = ["setpriv", "--reuid=65534", f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"]


def free_port():
    """A free port, outside the range from which the kernel takes ports for connections, so that it stays free."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", random.SystemRandom().randrange(first // 2, first)))
            return s.getsockname()[1]


def run(checks):
    """Runs all checks, and exits."""
    print(f"1..{len(checks)}")
    failed = 0
    for number, check in enumerate(checks, 1):
        skipped = ""
        try:
            faults = list(check())
        except Skip as reason:
            faults, skipped = [], f" # SKIP {reason}"
        except Exception as error:  # a missing file, key or tool is a fault as well
            faults = [repr(error)]
        failed += bool(faults)
        print(f"{'not ' if faults else ''}ok {number} - {' '.join((check.__doc__ or check.__name__).split())}{skipped}", flush=True)
        for fault in faults:
            print("#", fault.replace("\n", "\n# "))
    sys.exit(failed > 0)
