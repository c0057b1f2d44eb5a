# SPDX-License-Identifier: MIT
"""A Python process of its own, with the package that is tested.

A signal is sent to one whose main thread is in its call already (`until_in()`): one that comes when the interpreter has looked
for signals for the last time before the call is seen when the call ends, in CPython as it is.
"""
import os
import platform
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

import bough

BUILD = Path(bough.__file__).resolve().parents[1]
ROOT = Path(__file__).resolve().parents[2]
SCALE = float(os.environ.get("T_SCALE", 1))
LIMIT = 30 * SCALE
NUMBERS = {
    "futex": {"x86_64": "202", "aarch64": "98"},
    "accept4": {"x86_64": "288", "aarch64": "242"},
    "pause": {"x86_64": "34", "aarch64": "73"},  # there it is ppoll()
    "recvfrom": {"x86_64": "45", "aarch64": "207"},
    "clock_nanosleep": {"x86_64": "230", "aarch64": "115"},
}

# A debug build has more warnings on by default. The last filter counts first; but a -W whose text is here already is left out, and
# one of these would count instead. So they end in a line number, which no -W in the tests does.
AS_RELEASED = ",".join(
    [f"ignore::{category}Warning::0" for category in ("Deprecation", "PendingDeprecation", "Import", "Resource")]
    + ["default::DeprecationWarning:__main__:0"]
)


class Process:
    """Its lines are awaited, signals sent, its end told: `status` as subprocess has it, `out` and `err`."""

    def __init__(self, *arguments, env=None, path=(), stdin=subprocess.DEVNULL):
        paths = os.pathsep.join([*map(str, path), str(BUILD)])
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **(env or {})}
        for name in ("BOUGH_GRACE", "BOUGH_DUMP"):
            if name not in (env or {}):
                environment.pop(name, None)
        if hasattr(sys, "gettotalrefcount"):
            environment.setdefault("PYTHONWARNINGS", AS_RELEASED)
        self.out, self.err, self.status = "", "", None
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.end()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def until(self, pattern):
        """Reads on until the output so far has this in it; returns the match."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            end = time.monotonic() + LIMIT
            while not (found := re.search(pattern, self.out, re.M)):
                ready = selector.select(max(0, end - time.monotonic()))
                piece = os.read(self.process.stdout.fileno(), 65536).decode() if ready else ""
                if not piece:
                    raise AssertionError(f"no {pattern!r} in {self.out!r}; {self.end()}")
                self.out += piece
        return found

    def until_in(self, call, main=False, threads=1):
        """Until main, or so many of its threads, are in this call, and were so a moment ago."""
        number, seen = NUMBERS[call][platform.machine()], 0
        end = time.monotonic() + LIMIT
        while seen < 2:
            if time.monotonic() > end:
                raise AssertionError(f"nobody is in {call}; {self.end()}")
            there = (self.calls(self.process.pid) if main else self.calls()).count(number)
            seen = seen + 1 if there >= threads else 0
            time.sleep(0.01)

    def until_taken(self, signo):
        """Until one that was sent is not pending any more: its handler has begun."""
        end = time.monotonic() + LIMIT
        while self.process.poll() is None and self.pending() >> (signo - 1) & 1:
            if time.monotonic() > end:
                raise AssertionError(f"signal {signo} is not taken; {self.end()}")
            time.sleep(0.001)

    def pending(self):
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0  # it has ended
        return int(re.search(r"^ShdPnd:\s*(\w+)", status, re.M).group(1), 16)

    def calls(self, thread="*"):
        """The number of the call that each thread is in."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").glob(str(thread)):
            try:
                found.append((task / "syscall").read_text().split()[0])
            except OSError:
                pass  # it has ended
        return found

    def send(self, signo):
        self.sent = time.monotonic()
        self.process.send_signal(signo)

    def end(self, limit=None):
        """Waits for it. Returns the status."""
        try:
            out, err = self.process.communicate(timeout=LIMIT if limit is None else limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            self.err += "(it had to be killed)\n"
        self.took = time.monotonic() - getattr(self, "sent", self.started)
        self.out += out.decode()
        self.err += err.decode()
        self.status = self.process.returncode
        return self.status

    def __str__(self):
        return f"status {self.status}\n{self.out}\n{self.err}"


def run(*arguments, **keywords):
    with Process(*arguments, **keywords) as process:
        process.end()
    return process
