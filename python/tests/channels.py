# SPDX-License-Identifier: MIT
"""Pipes, FIFOs, sockets, files and terminals that calls block in."""
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import tty
from contextlib import ExitStack, contextmanager

from tools import LIMIT


@contextmanager
def pipe():
    ends = os.pipe()
    try:
        yield ends
    finally:
        for fd in ends:
            os.close(fd)


def fill(fd):
    """Writes until the channel is full. Returns the number of bytes."""
    os.set_blocking(fd, False)
    count = 0
    try:
        while True:
            count += os.write(fd, b"." * 65536)
    except BlockingIOError:
        os.set_blocking(fd, True)
        return count


def drain(fd, count):
    while count > 0:
        count -= len(os.read(fd, count))


@contextmanager
def full_pipe():
    """Yields the write end, and a function that makes room."""
    with pipe() as (r, w):
        count = fill(w)
        yield w, lambda: drain(r, count)


@contextmanager
def path():
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "file")


@contextmanager
def fifo():
    """Yields the FIFO's path, and a function that writes to it."""
    with path() as name:
        os.mkfifo(name)

        def write(data=b"hello"):
            with open(name, "wb") as file:
                file.write(data)

        yield name, write


# ---- locks of files --------------------------------------------------------------------------------------------------------


@contextmanager
def locked_by_a_process(name):
    """Another process holds a record lock, because such a lock belongs to a process. Yields a function that releases
    it."""
    r, w = os.pipe()
    done, ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(w)
        with open(name, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(ready, b"x")
            os.read(r, 1)
        os._exit(0)
    os.close(r)
    os.read(done, 1)
    try:
        yield lambda: os.write(w, b"x")
    finally:
        os.close(w)
        os.close(done)
        os.close(ready)
        os.waitpid(child, 0)


def flock_structure(kind):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)


@contextmanager
def leased():
    """A file on which another process has a lease, so that opening it for writing waits. Yields the path, and a
    function that ends the lease."""
    with path() as name, pipe() as (r, w), pipe() as (done, ready):
        open(name, "wb").close()
        child = os.fork()
        if child == 0:
            os.close(w)
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            fd = os.open(name, os.O_RDONLY)
            try:
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except OSError:
                os._exit(1)
            os.write(ready, b"x")
            os.read(r, 1)
            os._exit(0)
        os.read(done, 1)
        ended = []

        def release():
            if not ended:
                os.write(w, b"x")
                os.waitpid(child, 0)
                ended.append(1)

        try:
            yield name, release
        finally:
            release()


# ---- standard input and output ------------------------------------------------------------------------------------------------


@contextmanager
def instead_of(number, fd, name, mode):
    """Makes the descriptor with this number a copy of `fd`, and sys.NAME a file of it, while the block runs."""
    before, saved = os.dup(number), getattr(sys, name)
    os.dup2(fd, number)
    setattr(sys, name, open(number, mode, closefd=False))
    try:
        yield
    finally:
        setattr(sys, name, saved)
        os.dup2(before, number)
        os.close(before)


@contextmanager
def standard_input(fd):
    with instead_of(0, fd, "stdin", "r"):
        yield


@contextmanager
def terminal():
    """Yields both ends: the user's and the program's."""
    master, slave = pty.openpty()
    try:
        yield master, slave
    finally:
        os.close(slave)
        os.close(master)


@contextmanager
def console():
    """Makes standard input and output a terminal. Yields the user's end."""
    with terminal() as (master, slave), standard_input(slave):
        sys.stdout.flush()
        with instead_of(1, slave, "stdout", "w"):
            yield master


@contextmanager
def stopped_terminal():
    """Yields the program's end, whose output is stopped, and a function that starts the output again."""
    with terminal() as (master, slave):
        tty.setraw(slave)
        termios.tcflow(slave, termios.TCOOFF)
        yield slave, lambda: termios.tcflow(slave, termios.TCOON)


# ---- sockets --------------------------------------------------------------------------------------------------------------------


@contextmanager
def pair(kind=socket.SOCK_STREAM, timeout=None):
    a, b = socket.socketpair(type=kind)
    with a, b:
        a.settimeout(timeout)
        yield a, b


@contextmanager
def full_socket(kind=socket.SOCK_STREAM):
    """Yields the end that is full, and a function that makes room."""
    with pair(kind) as (a, b):
        if kind == socket.SOCK_STREAM:
            count = fill(a.fileno())
            yield a, lambda: drain(b.fileno(), count)
            return
        a.setblocking(False)
        count = 0
        try:
            while True:
                a.send(b".")
                count += 1
        except BlockingIOError:
            a.setblocking(True)
        yield a, lambda: [b.recv(1) for _ in range(count)]


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, server.getsockname()


@contextmanager
def full_server():
    """A server whose backlog is full, so that connect() waits; on a Unix socket it waits indefinitely."""
    with path() as name, ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(name)
        server.listen(0)
        first = stack.enter_context(socket.socket(socket.AF_UNIX))
        first.connect(name)
        yield server, name


@contextmanager
def full_tcp_server():
    """Yields the server's address, and a function that accepts two connections: the one in the backlog, and one
    more."""
    with socket.socket() as server, ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        stack.enter_context(socket.create_connection(server.getsockname()))
        select.select([server], [], [])  # the connection is in the backlog, which is full now

        def release():
            server.settimeout(LIMIT)  # the client tries again after 1 s, 3 s, 7 s and so on
            for _ in range(2):
                stack.enter_context(server.accept()[0])

        yield server.getsockname(), release


# ---- threads ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def running(function, *args, kind=threading.Thread):
    """Runs the function in a thread, which is joined at the end."""
    thread = kind(target=function, args=args)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
