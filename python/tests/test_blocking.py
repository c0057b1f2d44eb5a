# SPDX-License-Identifier: MIT
"""Blocking calls of the standard library, unchanged: descriptors, sockets, time, selectors, signals, names, databases."""
import asyncio
import fcntl
import http.client
import os
import pty
import select
import selectors
import signal
import socket
import socketserver
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from contextlib import ExitStack, closing, contextmanager, suppress

import blocking
from blocking import Call

LONG = 1.0  # for calls that nobody releases: nothing here waits for their end but who does on purpose
cases = []


def case(make):
    cases.append(make)
    return make


# ---- time --------------------------------------------------------------------------------------------------------------


@case
def sleep():
    yield Call(lambda: time.sleep(LONG), lambda: None)


# ---- descriptors -----------------------------------------------------------------------------------------------------------


@contextmanager
def pipe():
    ends = os.pipe()
    try:
        yield ends
    finally:
        for fd in ends:
            os.close(fd)


def fill(fd):
    """Until nothing goes in. Returns how many bytes went."""
    os.set_blocking(fd, False)
    count = 0
    try:
        while True:
            count += os.write(fd, b"." * 65536)
    except BlockingIOError:
        os.set_blocking(fd, True)
        return count


@case
def os_read():
    with pipe() as (r, w):
        yield Call(lambda: os.read(r, 10), lambda: os.write(w, b"hello"), b"hello")


@case
def os_readv():
    with pipe() as (r, w):
        yield Call(lambda: os.readv(r, [bytearray(5)]), lambda: os.write(w, b"hello"), 5)


@case
def os_write():
    with pipe() as (r, w):
        count = fill(w)
        yield Call(lambda: os.write(w, b"hello"), lambda: os.read(r, count), 5)


@case
def os_read_of_a_terminal():
    master, slave = pty.openpty()
    try:
        yield Call(lambda: os.read(slave, 10), lambda: os.write(master, b"hi\n"), b"hi\n")
    finally:
        os.close(master)
        os.close(slave)


@case
def buffered_read():
    r, w = os.pipe()
    with open(r, "rb") as reader, open(w, "wb", buffering=0) as writer:
        yield Call(lambda: reader.readline(), lambda: writer.write(b"hello\n"), b"hello\n")


@case
def text_read():
    r, w = os.pipe()
    with open(r) as reader, open(w, "wb", buffering=0) as writer:
        yield Call(lambda: reader.readline(), lambda: writer.write(b"hello\n"), "hello\n")


@case
def buffered_write():
    """what was not written yet stays in the buffer"""
    r, w = os.pipe()
    count = fill(w)
    with open(r, "rb", buffering=0) as reader, open(w, "wb") as writer:

        def call():
            writer.write(b"x")
            writer.flush()

        yield Call(call, lambda: reader.read(count))


@case
def open_fifo():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)

        def call():
            with open(path, "rb") as fifo:
                return fifo.read()

        def release():
            with open(path, "wb") as fifo:
                fifo.write(b"hello")

        yield Call(call, release, b"hello")


@case
def os_sendfile():
    a, b = socket.socketpair()
    with a, b, tempfile.TemporaryFile() as file:
        file.write(b"hello")
        file.flush()
        count = fill(a.fileno())
        yield Call(lambda: os.sendfile(a.fileno(), file.fileno(), 0, 5), lambda: b.recv(count, socket.MSG_WAITALL), 5)


@case
def os_splice():
    with pipe() as (r, w), pipe() as (r2, w2):
        yield Call(lambda: os.splice(r, w2, 10), lambda: os.write(w, b"hello"), 5)


@case
def flock():
    with tempfile.NamedTemporaryFile() as mine, open(mine.name, "r+b") as other:
        fcntl.flock(mine, fcntl.LOCK_EX)
        yield Call(lambda: fcntl.flock(other, fcntl.LOCK_EX), lambda: fcntl.flock(mine, fcntl.LOCK_UN))


@contextmanager
def locked_by_a_process(path):
    """A record's lock belongs to a process: to another one than this. Yields what gives it back."""
    r, w = os.pipe()
    done, ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(w)
        with open(path, "r+b") as file:
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


@case
def lockf():
    with tempfile.NamedTemporaryFile() as file, locked_by_a_process(file.name) as release, open(file.name, "r+b") as mine:
        yield Call(lambda: fcntl.lockf(mine, fcntl.LOCK_EX), release)


@case
def os_lockf():
    with tempfile.NamedTemporaryFile() as file, locked_by_a_process(file.name) as release, open(file.name, "r+b") as mine:
        yield Call(lambda: os.lockf(mine.fileno(), os.F_LOCK, 0), release)


# ---- standard input ------------------------------------------------------------------------------------------------------------


@contextmanager
def standard_input(fd):
    """Descriptor 0 is this one, and sys.stdin reads it."""
    before, saved = os.dup(0), sys.stdin
    os.dup2(fd, 0)
    sys.stdin = open(0, closefd=False)
    try:
        yield
    finally:
        sys.stdin = saved
        os.dup2(before, 0)
        os.close(before)


@case
def input_of_a_pipe():
    with pipe() as (r, w), standard_input(r):
        yield Call(input, lambda: os.write(w, b"hello\n"), "hello")


# ---- sockets -------------------------------------------------------------------------------------------------------------------


@contextmanager
def pair(kind=socket.SOCK_STREAM, timeout=None):
    a, b = socket.socketpair(type=kind)
    with a, b:
        a.settimeout(timeout)
        yield a, b


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, server.getsockname()


blocking.receiving(case, pair)


@case
def recvfrom():
    with pair(socket.SOCK_DGRAM) as (a, b):
        yield Call(lambda: a.recvfrom(10)[0], lambda: b.send(b"hello"), b"hello")


@case
def recvmsg():
    with pair(socket.SOCK_DGRAM) as (a, b):
        yield Call(lambda: a.recvmsg(10)[0], lambda: b.send(b"hello"), b"hello")


@case
def send():
    with pair() as (a, b):
        count = fill(a.fileno())
        yield Call(lambda: a.send(b"hello"), lambda: b.recv(count, socket.MSG_WAITALL), 5)


@case
def sendall():
    with pair() as (a, b):
        count = fill(a.fileno())
        yield Call(lambda: a.sendall(b"hello"), lambda: b.recv(count, socket.MSG_WAITALL))


@case
def sendall_with_a_timeout():
    with pair() as (a, b):
        count = fill(a.fileno())
        a.settimeout(3600)
        yield Call(lambda: a.sendall(b"hello"), lambda: b.recv(count, socket.MSG_WAITALL))


@case
def sendmsg():
    with pair() as (a, b):
        count = fill(a.fileno())
        yield Call(lambda: a.sendmsg([b"hello"]), lambda: b.recv(count, socket.MSG_WAITALL), 5)


@case
def accept():
    with listening() as (server, address), ExitStack() as stack:

        def call():
            server.accept()[0].close()

        yield Call(call, lambda: stack.enter_context(socket.create_connection(address)))


@case
def accept_with_a_timeout():
    with listening() as (server, address), ExitStack() as stack:
        server.settimeout(3600)

        def call():
            server.accept()[0].close()

        yield Call(call, lambda: stack.enter_context(socket.create_connection(address)))


@contextmanager
def full_server():
    """Its backlog is full: who connects waits. On a Unix socket, that waits for good."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = os.path.join(folder, "socket")
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(path)
        server.listen(0)
        first = stack.enter_context(socket.socket(socket.AF_UNIX))
        first.connect(path)
        yield server, path


def connect_to(path, timeout):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(path)


@case
def connect():
    with full_server() as (server, path):
        yield Call(lambda: connect_to(path, None), lambda: server.accept()[0].close())


@case
def connect_over_tcp():
    """goes on in the kernel when it was cut (rule 9): a second socket is what tries again"""
    with socket.socket() as server, ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        stack.enter_context(socket.create_connection(address))

        def call():
            with socket.socket() as client:
                client.connect(address)

        def release():
            for _ in range(2):
                server.settimeout(5)
                stack.enter_context(server.accept()[0])

        yield Call(call, release, again=False)


@case
def socket_file_read():
    with pair() as (a, b), a.makefile("rb") as file:
        yield Call(lambda: file.readline(), lambda: b.send(b"hello\n"), b"hello\n")


@case
def socket_file_write():
    with pair() as (a, b), a.makefile("wb") as file:
        count = fill(a.fileno())

        def call():
            file.write(b"x")
            file.flush()

        yield Call(call, lambda: b.recv(count, socket.MSG_WAITALL))


# ---- many descriptors -------------------------------------------------------------------------------------------------------------


@case
def select_select():
    with pipe() as (r, w):
        yield Call(lambda: select.select([r], [], [])[0], lambda: os.write(w, b"x"), [r])


@case
def select_with_a_timeout():
    with pipe() as (r, w):
        yield Call(lambda: select.select([r], [], [], 3600)[0], lambda: os.write(w, b"x"), [r])


@case
def select_poll():
    with pipe() as (r, w):
        poll = select.poll()
        poll.register(r, select.POLLIN)
        yield Call(lambda: poll.poll(), lambda: os.write(w, b"x"), [(r, select.POLLIN)])


@case
def select_epoll():
    with pipe() as (r, w), select.epoll() as epoll:
        epoll.register(r, select.EPOLLIN)
        yield Call(lambda: epoll.poll(), lambda: os.write(w, b"x"), [(r, select.EPOLLIN)])


@case
def default_selector():
    with pipe() as (r, w), selectors.DefaultSelector() as selector:
        selector.register(r, selectors.EVENT_READ)
        yield Call(lambda: [key.fd for key, _ in selector.select()], lambda: os.write(w, b"x"), [r])


# ---- signals -----------------------------------------------------------------------------------------------------------------------


@contextmanager
def blocked(signo):
    """In this thread, and so in the worker that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signo})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@case
def sigwait():
    with blocked(signal.SIGUSR1):
        yield Call(lambda: signal.sigwait({signal.SIGUSR1}), lambda: os.kill(os.getpid(), signal.SIGUSR1), signal.SIGUSR1)


@case
def sigwaitinfo():
    with blocked(signal.SIGUSR1):
        yield Call(
            lambda: signal.sigwaitinfo({signal.SIGUSR1}).si_signo,
            lambda: os.kill(os.getpid(), signal.SIGUSR1),
            signal.SIGUSR1,
        )


@case
def sigtimedwait():
    with blocked(signal.SIGUSR1):
        yield Call(
            lambda: signal.sigtimedwait({signal.SIGUSR1}, 3600).si_signo,
            lambda: os.kill(os.getpid(), signal.SIGUSR1),
            signal.SIGUSR1,
        )


# ---- what is built on them ------------------------------------------------------------------------------------------------------------


@case
def asyncio_run():
    """the event loop's select()"""
    with pair() as (a, b):

        async def main():
            a.setblocking(False)
            return await asyncio.get_running_loop().sock_recv(a, 10)

        yield Call(lambda: asyncio.run(main()), lambda: b.send(b"hello"), b"hello")


@contextmanager
def silent_server():
    """Takes connections, and says nothing before it is told to. Yields its port, and what tells it."""
    said = threading.Event()
    stop = threading.Event()

    def answer(client):
        with client:
            said.wait()
            if not stop.is_set():
                try:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                except OSError:
                    pass

    def serve(server):
        threads = []
        while True:
            client, _ = server.accept()
            if stop.is_set():
                client.close()
                break
            threads.append(threading.Thread(target=answer, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    with listening() as (server, address):
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield address[1], said.set
        finally:
            stop.set()
            said.set()
            socket.create_connection(address).close()
            thread.join()


@case
def http_client():
    with silent_server() as (port, release):

        def call():
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                connection.request("GET", "/")
                return connection.getresponse().read()

        yield Call(call, release, b"hello")


@case
def urlopen():
    with silent_server() as (port, release):

        def call():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3600) as response:
                return response.read()

        yield Call(call, release, b"hello")


@case
def serve_forever():
    server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    with server:
        yield Call(lambda: server.serve_forever(poll_interval=3600), lambda: quit_server(server))


def quit_server(server):
    """shutdown() is looked at between two polls: so something has to come."""
    thread = threading.Thread(target=server.shutdown)
    thread.start()
    while thread.is_alive():
        with suppress(TimeoutError):  # it has quit by now: nobody takes what comes, and there is no more room
            socket.create_connection(server.server_address, timeout=0.1).close()
        thread.join(0.01)


# ---- a terminal, where input() goes other ways -----------------------------------------------------------------------------------------

CONSOLE = """
import bough, {module}, threading, sys
def body():
    try:
        print("read", input("ask: "))
    except bough.ThreadExit as exit:
        print("cut", exit.record.reason)
        bough.clear_interrupt()
        print("then", input())
thread = bough.Thread(target=body)
thread.enable_io_interrupt = True
thread.start()
import blocking
blocking.until_blocked(thread)
thread.interrupt("enough")
thread.join(20)
"""


class Terminal(unittest.TestCase):
    def told(self, module):
        pid, master = pty.fork()
        if pid == 0:
            sys.path.insert(0, os.path.dirname(__file__))
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
            os.environ["TERM"] = "dumb"
            os.execv(sys.executable, [sys.executable, "-c", CONSOLE.format(module=module)])
        heard, end = b"", time.monotonic() + blocking.ENOUGH
        try:
            while b"cut enough" not in heard and time.monotonic() < end:
                if select.select([master], [], [], 1)[0]:
                    heard += os.read(master, 1000)
            os.write(master, b"hello\n")
            while b"then hello" not in heard and time.monotonic() < end:
                if select.select([master], [], [], 1)[0]:
                    heard += os.read(master, 1000)
        except OSError:
            pass  # it has ended
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(master)
        return heard.decode()

    def test_input(self):
        heard = self.told("time")
        self.assertIn("cut enough", heard)
        self.assertIn("then hello", heard)

    def test_input_by_readline(self):
        heard = self.told("readline")
        self.assertIn("cut enough", heard)
        self.assertIn("then hello", heard)


Blocking = blocking.generate(__name__, cases)

if __name__ == "__main__":
    unittest.main()
