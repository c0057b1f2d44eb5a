# SPDX-License-Identifier: MIT
"""A real pseudo-terminal with a program in it, and an emulator that keeps its screen."""
import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
import time

import pyte

LIMIT = 30 * float(os.environ.get("T_SCALE", "1"))


class Terminal:
    """Terminal([program, ...], lines=24, columns=80): the screen is read while the test waits for it."""

    def __init__(self, command, lines=24, columns=80, **environment):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.ours, theirs = os.openpty()
        self._set_size(lines, columns)
        given = {**os.environ, "TERM": "linux", "LC_ALL": "C.UTF-8", **environment}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True,
                                        env={k: v for k, v in given.items() if v is not None},
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)

    def _set_size(self, lines, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, lines, columns):
        """Changes the size, for which the kernel sends SIGWINCH."""
        self.screen.resize(lines, columns)
        self._set_size(lines, columns)

    def type(self, keys):
        os.write(self.ours, keys.encode())

    def read(self, seconds):
        """Reads the output that comes within that time. Returns False if none has come, or the program has ended."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.ours, 1 << 16)
        except OSError:  # EIO: no process has the other end open any more
            return False
        self.raw += data
        self.stream.feed(data)
        return bool(data)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, wanted, absent=None):
        """Waits until the screen shows all these texts, and not the other one. A function decides by the screen's
        text."""
        texts = [wanted] if isinstance(wanted, str) else wanted
        is_there = wanted if callable(wanted) else lambda text: all(w in text for w in texts)
        end = time.monotonic() + LIMIT
        while not (is_there(self.text) and (absent is None or absent not in self.text)):
            left = end - time.monotonic()
            if left <= 0 or (not self.read(min(left, 0.5)) and self.process.poll() is not None and not self.read(0)):
                raise AssertionError(f"no {wanted!r} on the screen:\n{self.text}")
        return self.text

    def line_with(self, text):
        """The number of the first line with this text; -1: none has it."""
        return next((i for i, line in enumerate(self.screen.display) if text in line), -1)

    def end(self):
        """Waits for the program's end. Its status, and its errors."""
        end = time.monotonic() + LIMIT
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.wait(1), self.process.stderr.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.ours)
