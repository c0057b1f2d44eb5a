# SPDX-License-Identifier: MIT
"""A program that hangs, for tests of the command; and the nodes of the tree that the command prints as JSON."""
import os
import subprocess
import time
from pathlib import Path


def _calls(pid):
    """The state and the system call of each thread."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            state = (task / "stat").read_bytes().rpartition(b")")[2].split()[0]
            yield task.name, state, (task / "syscall").read_text().split()[0]
        except OSError:  # it has just ended, or has no call
            pass


def until_asleep(pid):
    """Waits until each thread is in the same system call at two checks, because a program writes "ready" before its
    threads hang."""
    before, end = None, time.monotonic() + 30 * float(os.environ.get("T_SCALE", "1"))
    while time.monotonic() < end:
        now = sorted(_calls(pid))
        if now and now == before and all(state != b"R" for _, state, _ in now):
            return
        before = now
        time.sleep(0.01)


class Hanging:
    """Hanging([program, ...]): the program hangs when the block begins, and is killed when the block ends."""

    def __init__(self, command, environment=None, **options):
        self.command = command
        self.options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL,
                        "env": {**os.environ, **(environment or {})}, **options}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, **self.options)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = str(self.process.pid)
        until_asleep(self.pid)
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.errors = (self.process.communicate()[1] or b"").decode()


def nodes(node):
    """A node of the tree, and all nodes below it."""
    yield node
    for below in node["below"]:
        yield from nodes(below)
