# SPDX-License-Identifier: MIT
"""A separate Python process, with the tested package.

A signal is sent when the process's main thread is already in its call (`until_in()`): if it came after the interpreter's last
check for signals before the call, CPython would handle it only when the call ends.
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
    "futex": {"x86_64": ("202",), "aarch64": ("98",)},
    "accept4": {"x86_64": ("288",), "aarch64": ("242",)},
    "pause": {"x86_64": ("34",), "aarch64": ("73",)},  # ppoll() on aarch64
    "recvfrom": {"x86_64": ("45",), "aarch64": ("207",)},
    "poll": {"x86_64": ("7", "271"), "aarch64": ("73",)},  # ppoll(), also by a newer glibc
    "clock_nanosleep": {"x86_64": ("230",), "aarch64": ("115",)},
}

# A debug build enables more warnings by default. The last filter counts first; but a -W that equals a filter here would
# be dropped, and the filter here would count instead. So these filters end in a line number, which no -W in the tests
# has.
AS_RELEASED = ",".join(
    [f"ignore::{category}Warning::0" for category in ("Deprecation", "PendingDeprecation", "Import", "Resource")]
    + ["default::DeprecationWarning:__main__:0"]
)


class Process:
    """Waits for the process's lines, sends signals, and reports its end: `status` as in subprocess, `out` and `err`."""

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
        """Reads until the output contains this pattern; returns the match."""
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
        """Waits until main, or this number of threads, is in the call at two checks in a row."""
        numbers, seen = NUMBERS[call][platform.machine()], 0
        end = time.monotonic() + LIMIT
        while seen < 2:
            if time.monotonic() > end:
                raise AssertionError(f"no thread is in {call}; {self.end()}")
            there = sum(call in numbers for call in (self.calls(self.process.pid) if main else self.calls()))
            seen = seen + 1 if there >= threads else 0
            time.sleep(0.01)

    def until_taken(self, signo):
        """Waits until a signal that was sent is no longer pending: its handler has begun."""
        end = time.monotonic() + LIMIT
        while self.process.poll() is None and self.pending() >> (signo - 1) & 1:
            if time.monotonic() > end:
                raise AssertionError(f"signal {signo} is not taken; {self.end()}")
            time.sleep(0.001)

    def pending(self):
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0  # the thread or process has ended
        return int(re.search(r"^ShdPnd:\s*(\w+)", status, re.M).group(1), 16)

    def calls(self, thread="*"):
        """The number of the call that each thread is in."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").glob(str(thread)):
            try:
                found.append((task / "syscall").read_text().split()[0])
            except OSError:
                pass  # the thread or process has ended
        return found

    def send(self, signo):
        self.sent = time.monotonic()
        self.process.send_signal(signo)

    def end(self, limit=None):
        """Waits for the process's end. Returns the status."""
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
