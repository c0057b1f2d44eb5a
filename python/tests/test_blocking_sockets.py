# SPDX-License-Identifier: MIT
"""Blocking calls on sockets."""
import os
import socket
import tempfile
import unittest
from contextlib import ExitStack

import blocking
from blocking import Call
from channels import full_server, full_socket, full_tcp_server, listening, pair, pipe

cases = blocking.Cases(__name__)
case = cases.case


# ---- connections --------------------------------------------------------------------------------------------------------


def accepting(timeout):
    with listening() as (server, address), ExitStack() as stack:
        server.settimeout(timeout)

        def call():
            server.accept()[0].close()

        yield Call(call, lambda: stack.enter_context(socket.create_connection(address)))


@case("socket.accept()", "no connection")
def _():
    yield from accepting(None)


@case("socket.accept()", "no connection, with a timeout")
def _():
    yield from accepting(3600)


def connecting(connect, timeout=None):
    def call():
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout)
            return connect(client, path)

    with full_server() as (server, path):
        yield Call(call, lambda: server.accept()[0].close())


@case("socket.connect()", "a full backlog")
def _():
    yield from connecting(socket.socket.connect)


@case("socket.connect()", "a full backlog, with a timeout")
def _():
    """a Unix socket that does not block fails at once"""
    yield from connecting_over_tcp(lambda address: socket.create_connection(address, timeout=3600).close())


@case("socket.connect_ex()", "a full backlog")
def _():
    yield from connecting(socket.socket.connect_ex)


GOES_ON = "the kernel goes on connecting (rule 9): close it"


def connecting_over_tcp(connect):
    with full_tcp_server() as (address, release):
        yield Call(lambda: connect(address), release, again=False, state=GOES_ON)


def connect_by_tcp(address, timeout=None):
    with socket.socket() as client:
        client.settimeout(timeout)
        client.connect(address)


@case("socket.connect()", "a full backlog, over TCP")
def _():
    yield from connecting_over_tcp(connect_by_tcp)


@case("socket.connect()", "a full backlog, over TCP, with a timeout")
def _():
    yield from connecting_over_tcp(lambda address: connect_by_tcp(address, 3600))


@case("socket.create_connection()", "a full backlog")
def _():
    with full_tcp_server() as (address, release):
        yield Call(lambda: socket.create_connection(address).close(), release, again=False, state="closed")


# ---- receiving --------------------------------------------------------------------------------------------------------------

cases.receiving("socket", pair)


@case("socket.recv()", "less data than MSG_WAITALL wants")
def _():
    with pair() as (a, b):
        yield Call(lambda: a.recv(5, socket.MSG_WAITALL), lambda: b.send(b"hello"), b"hello")


def receiving(function, result):
    with pair(socket.SOCK_DGRAM) as (a, b):
        yield Call(lambda: function(a), lambda: b.send(b"hello"), result)


@case("socket.recvfrom()", "no data")
def _():
    yield from receiving(lambda a: a.recvfrom(10)[0], b"hello")


@case("socket.recvfrom_into()", "no data")
def _():
    yield from receiving(lambda a: a.recvfrom_into(bytearray(10))[0], 5)


@case("socket.recvmsg()", "no data")
def _():
    yield from receiving(lambda a: a.recvmsg(10)[0], b"hello")


@case("socket.recvmsg_into()", "no data")
def _():
    yield from receiving(lambda a: a.recvmsg_into([bytearray(10)])[0], 5)


@case("socket.recv_fds()", "no data")
def _():
    with pair() as (a, b), pipe() as (r, _):

        def call():
            data, fds, *_ = socket.recv_fds(a, 10, 1)
            for fd in fds:
                os.close(fd)
            return data, len(fds)

        yield Call(call, lambda: socket.send_fds(b, [b"hello"], [r]), (b"hello", 1))


@case("socket.makefile().readline()", "no data")
def _():
    with pair() as (a, b), a.makefile("rb") as file:
        yield Call(lambda: file.readline(), lambda: b.send(b"hello\n"), b"hello\n")


# ---- sending ------------------------------------------------------------------------------------------------------------------


def sending(function, result, kind=socket.SOCK_STREAM, timeout=None):
    with full_socket(kind) as (a, release):
        a.settimeout(timeout)
        yield Call(lambda: function(a), release, result)


@case("socket.send()", "a full socket")
def _():
    yield from sending(lambda a: a.send(b"hello"), 5)


@case("socket.sendall()", "a full socket")
def _():
    yield from sending(lambda a: a.sendall(b"hello"), None)


@case("socket.sendall()", "a full socket, with a timeout")
def _():
    yield from sending(lambda a: a.sendall(b"hello"), None, timeout=3600)


@case("socket.sendmsg()", "a full socket")
def _():
    yield from sending(lambda a: a.sendmsg([b"hello"]), 5)


@case("socket.send_fds()", "a full socket")
def _():
    yield from sending(lambda a: socket.send_fds(a, [b"hello"], [0]), 5)


@case("socket.sendto()", "a full socket")
def _():
    """a datagram"""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        a, b = (stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in "ab")
        name = os.path.join(folder, "socket")
        b.bind(name)
        a.setblocking(False)
        count = 0
        try:
            while True:
                a.sendto(b"hello", name)
                count += 1
        except BlockingIOError:
            a.setblocking(True)
        yield Call(lambda: a.sendto(b"hello", name), lambda: [b.recv(5) for _ in range(count)], 5)


@case("socket.sendfile()", "a full socket")
def _():
    with tempfile.TemporaryFile() as file:
        file.write(b"hello")
        file.flush()
        yield from sending(lambda a: (file.seek(0), a.sendfile(file))[1], 5)


@case("socket.makefile().write()", "a full socket")
def _():
    with full_socket() as (a, release), a.makefile("wb") as file:
        yield Call(lambda: (file.write(b"x"), file.flush())[1], release)


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
