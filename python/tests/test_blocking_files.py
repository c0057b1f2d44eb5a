# SPDX-License-Identifier: MIT
"""Blocking calls on descriptors and files, without Python's streams."""
import fcntl
import io
import os
import pathlib
import sched
import socket
import struct
import tempfile
import termios
import time
import unittest
from contextlib import ExitStack

import blocking
from blocking import Call
from channels import (
    drain,
    fifo,
    fill,
    flock_structure,
    full_pipe,
    full_socket,
    leased,
    locked_by_a_process,
    path,
    pipe,
    running,
    stopped_terminal,
    terminal,
)
from seccomp import RECEIVE, REPORT, can_listen, seccomp_listener

cases = blocking.Cases(__name__)
case = cases.case


# ---- time --------------------------------------------------------------------------------------------------------------


@case("time.sleep()", "the time")
def _(seconds):
    yield Call(lambda: time.sleep(seconds), lambda: None)


@case("sched.scheduler.run()", "the time of the next event")
def _(seconds):
    scheduler = sched.scheduler(time.monotonic, time.sleep)
    scheduler.enter(seconds, 1, lambda: None)
    yield Call(lambda: (scheduler.run(), scheduler.empty())[1], lambda: None, True)


# ---- read and write ---------------------------------------------------------------------------------------------------------


@case("os.read()", "an empty pipe")
def _():
    with pipe() as (r, w):
        yield Call(lambda: os.read(r, 10), lambda: os.write(w, b"hello"), b"hello")


@case("os.read()", "a terminal")
def _():
    with terminal() as (master, slave):
        yield Call(lambda: os.read(slave, 10), lambda: os.write(master, b"hi\n"), b"hi\n")


def eventfd(value=0):
    return os.fdopen(os.eventfd(value), "r+b", buffering=0)


@case("os.read()", "an eventfd")
def _():
    with eventfd() as file:
        one = struct.pack("Q", 1)
        yield Call(lambda: os.read(file.fileno(), 8), lambda: os.write(file.fileno(), one), one)


@case("os.read()", "a timerfd")
def _():
    with os.fdopen(os.timerfd_create(time.CLOCK_MONOTONIC), "rb", buffering=0) as file:
        fd = file.fileno()
        yield Call(lambda: os.read(fd, 8), lambda: os.timerfd_settime(fd, initial=0.001), struct.pack("Q", 1))


@case("os.readv()", "an empty pipe")
def _():
    with pipe() as (r, w):
        yield Call(lambda: os.readv(r, [bytearray(5)]), lambda: os.write(w, b"hello"), 5)


@case("os.write()", "a full pipe")
def _():
    with full_pipe() as (w, release):
        yield Call(lambda: os.write(w, b"hello"), release, 5)


@case("os.write()", "a stopped terminal")
def _():
    with stopped_terminal() as (slave, release):
        yield Call(lambda: os.write(slave, b"hello"), release, 5)


@blocking.skip_unless(can_listen(), "no seccomp listener here")
@case("fcntl.ioctl()", "a seccomp listener, nothing is reported")
def _():
    with seccomp_listener() as (listener, release):
        yield Call(lambda: fcntl.ioctl(listener, RECEIVE, bytearray(REPORT), True), release, 0)


@case("fcntl.ioctl()", "a stopped terminal, by TCSETSW")
def _():
    with stopped_terminal() as (slave, release):
        mode = bytearray(256)
        fcntl.ioctl(slave, termios.TCGETS, mode)
        with running(os.write, slave, b"hello") as writer:
            blocking.until_blocked(writer)
            yield Call(lambda: fcntl.ioctl(slave, termios.TCSETSW, mode), release, 0)
            release()


@case("os.writev()", "a full pipe")
def _():
    with full_pipe() as (w, release):
        yield Call(lambda: os.writev(w, [b"he", b"llo"]), release, 5)


@case("os.eventfd_read()", "the counter is 0")
def _():
    with eventfd() as file:
        fd = file.fileno()
        yield Call(lambda: os.eventfd_read(fd), lambda: os.eventfd_write(fd, 3), 3)


@case("os.eventfd_write()", "the counter is full")
def _():
    with eventfd() as file:
        fd = file.fileno()
        os.eventfd_write(fd, 2**64 - 2)
        yield Call(lambda: os.eventfd_write(fd, 1), lambda: os.eventfd_read(fd))


@case("os.sendfile()", "a full socket")
def _():
    with full_socket() as (a, release), tempfile.TemporaryFile() as file:
        file.write(b"hello")
        file.flush()
        yield Call(lambda: os.sendfile(a.fileno(), file.fileno(), 0, 5), release, 5)


@case("os.splice()", "an empty pipe")
def _():
    with pipe() as (r, w), pipe() as (r2, w2):
        yield Call(lambda: os.splice(r, w2, 10), lambda: os.write(w, b"hello"), 5)


@case("os.splice()", "a full pipe")
def _():
    with full_pipe() as (w, release), pipe() as (r2, w2):
        os.write(w2, b"hello" * 3)
        yield Call(lambda: os.splice(r2, w, 5), release, 5)


# ---- opening and closing ------------------------------------------------------------------------------------------------------


def read_all(file):
    with file:
        return file.read()


def opening(function):
    with fifo() as (name, write):
        yield Call(lambda: read_all(function(name)), write, b"hello")


@case("os.open()", "a FIFO")
def _():
    yield from opening(lambda name: os.fdopen(os.open(name, os.O_RDONLY), "rb"))


@case("open()", "a FIFO")
def _():
    yield from opening(lambda name: open(name, "rb"))


@case("open()", "a FIFO, by io.open_code()")
def _():
    yield from opening(io.open_code)


@case("pathlib.Path.read_bytes()", "a FIFO")
def _():
    with fifo() as (name, write):
        yield Call(lambda: pathlib.Path(name).read_bytes(), write, b"hello")


@case("os.open()", "another's lease")
def _():
    with leased() as (name, release):
        yield Call(lambda: os.close(os.open(name, os.O_WRONLY)), release)


@case("open()", "another's lease")
def _():
    with leased() as (name, release):
        yield Call(lambda: open(name, "wb").close(), release)


@case("os.truncate()", "another's lease")
def _():
    with leased() as (name, release):
        yield Call(lambda: os.truncate(name, 0), release)


def lingering(stack):
    """Yields a connected socket whose close waits for the other end, and a function by which the other end ends the
    wait."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    a = stack.enter_context(socket.create_connection(server.getsockname()))
    b = stack.enter_context(server.accept()[0])
    count = fill(a.fileno())
    a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, int(blocking.ENOUGH)))
    return a, lambda: drain(b.fileno(), count)


@case("os.close()", "a socket that lingers")
def _():
    with ExitStack() as stack:
        a, release = lingering(stack)
        fd = a.detach()
        yield Call(lambda: os.close(fd), release, again=False, state="closed")


@case("socket.close()", "data that lingers")
def _():
    with ExitStack() as stack:
        a, release = lingering(stack)
        yield Call(a.close, release, again=False, state="closed")


# ---- locks ------------------------------------------------------------------------------------------------------------------------


@case("fcntl.flock()", "another's lock")
def _():
    with tempfile.NamedTemporaryFile() as mine, open(mine.name, "r+b") as other:
        fcntl.flock(mine, fcntl.LOCK_EX)
        yield Call(lambda: fcntl.flock(other, fcntl.LOCK_EX), lambda: fcntl.flock(mine, fcntl.LOCK_UN))


def record_lock(function):
    with tempfile.NamedTemporaryFile() as file, locked_by_a_process(file.name) as release, open(file.name, "r+b") as mine:
        yield Call(lambda: function(mine.fileno()), release)


@case("fcntl.lockf()", "another process's lock")
def _():
    yield from record_lock(lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX))


@case("os.lockf()", "another process's lock")
def _():
    yield from record_lock(lambda fd: os.lockf(fd, os.F_LOCK, 0))


@case("fcntl.fcntl()", "another process's lock, by F_SETLKW")
def _():
    yield from record_lock(lambda fd: fcntl.fcntl(fd, fcntl.F_SETLKW, flock_structure(fcntl.F_WRLCK)))


@case("fcntl.fcntl()", "another's lock, by F_OFD_SETLKW")
def _():
    with path() as name, open(name, "wb") as mine, open(name, "r+b") as other:
        fcntl.fcntl(mine, fcntl.F_OFD_SETLKW, flock_structure(fcntl.F_WRLCK))
        yield Call(
            lambda: fcntl.fcntl(other, fcntl.F_OFD_SETLKW, flock_structure(fcntl.F_WRLCK)),
            lambda: fcntl.fcntl(mine, fcntl.F_OFD_SETLKW, flock_structure(fcntl.F_UNLCK)),
        )


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
