# SPDX-License-Identifier: MIT
"""Calls that block in other threads and processes, and report to the test. Each connects to the test's socket, so the
test gets an event when the call begins, and when it ends."""
import os
import select
import socket
import tempfile
import time

from tools import LIMIT


class Posts:
    """The test's side: accepts the connections of the calls."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "posts")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.listener.settimeout(LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()
        self.folder.cleanup()

    def next(self):
        """Waits for the next call to begin."""
        connection, _ = self.listener.accept()
        return Post(connection)

    def nothing_comes(self, seconds):
        return not select.select([self.listener], [], [], seconds)[0]


class Post:
    """One call, with the `pid` and the native id (`thread`) of its thread."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(LIMIT)
        self.file = connection.makefile("r", newline="\n")
        self.pid, self.thread = map(int, self.says().split())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()
        self.connection.close()

    def says(self):
        """The next line that the call sends; "" if the call has ended."""
        return self.file.readline().rstrip("\n")

    def answer(self, text):
        self.connection.sendall(f"{text}\n".encode())

    def ended(self):
        """Waits for the call's end, and returns the lines that it has sent before."""
        lines = []
        while line := self.says():
            lines.append(line)
        return lines


class _Caller:
    def __init__(self, path):
        import threading

        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path)
        self.file = self.connection.makefile("r", newline="\n")
        self.say(f"{os.getpid()} {threading.get_native_id()}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()
        self.connection.close()

    def say(self, text):
        self.connection.sendall(f"{text}\n".encode())

    def hear(self):
        return self.file.readline().rstrip("\n")


# ---- what the calls execute ------------------------------------------------------------------------------------------------------


def blocks(path):
    """Blocks in recv() until the test answers, and returns the answer."""
    with _Caller(path) as caller:
        return caller.hear()


def computes(path):
    """Computes in Python, without a blocking call."""
    with _Caller(path):
        n = 0
        while True:
            n += 1


def cleans_up(path):
    """Blocks; after an interrupt its cleanup blocks until the test answers."""
    import bough

    with _Caller(path) as caller:
        try:
            return caller.hear()
        except BaseException as error:
            with bough.cleanup(grace=LIMIT):
                caller.say(type(error).__name__)
                caller.hear()
            raise


def catches(path):
    """Blocks; catches the exception that ends the wait, and returns its name."""
    try:
        return blocks(path)
    except BaseException as error:
        return type(error).__name__


def now():
    return time.monotonic()
