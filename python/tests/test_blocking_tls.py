# SPDX-License-Identifier: MIT
"""TLS: an interrupted read never looks like the end of the data."""
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
from contextlib import ExitStack, contextmanager, suppress

import blocking
import bough
from blocking import Call
from channels import fifo

folder = tempfile.TemporaryDirectory()
cases = blocking.Cases(__name__)
case = cases.case


def setUpModule():
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-keyout", os.path.join(folder.name, "key"), "-out", os.path.join(folder.name, "crt")],
        check=True,
        capture_output=True,
    )


def tearDownModule():
    folder.cleanup()


def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder.name, "crt"), os.path.join(folder.name, "key"))
    return context


def client_context():
    context = ssl.create_default_context(cafile=os.path.join(folder.name, "crt"))
    context.check_hostname = False
    return context


@contextmanager
def pair(timeout=None, **options):
    """Two ends of a TLS connection."""
    a, b = socket.socketpair()
    ends = []

    def serve():
        ends.append(server_context().wrap_socket(b, server_side=True))

    thread = threading.Thread(target=serve)
    thread.start()
    client = client_context().wrap_socket(a, **options)
    thread.join()
    with client, ends[0] as server:
        client.settimeout(timeout)
        yield client, server


def fill(end):
    """Sends until there is no more room: a record that was sent in part has to be sent again."""
    end.setblocking(False)
    count = 0
    try:
        while True:
            count += end.send(b"." * 16384)
    except ssl.SSLWantWriteError:
        return count


cases.receiving("ssl.SSLSocket", pair)


@case("ssl.SSLSocket.recv()", "no data, a ragged end ignored")
def _():
    """with the default setting, which http.client, urllib and others use, an error of the socket may look like the
    end"""
    with pair(suppress_ragged_eofs=True) as (a, b):
        yield Call(lambda: a.recv(10), lambda: b.send(b"hello"), b"hello")


@case("ssl.SSLSocket.recv()", "no data, a ragged end reported")
def _():
    with pair(suppress_ragged_eofs=False) as (a, b):
        yield Call(lambda: a.recv(10), lambda: b.send(b"hello"), b"hello")


@case("ssl.SSLSocket.makefile().readline()", "no data")
def _():
    with pair() as (a, b), a.makefile("rb") as file:
        yield Call(lambda: file.readline(), lambda: b.send(b"hello\n"), b"hello\n")


@case("ssl.SSLSocket.read()", "no data")
def _():
    with pair() as (a, b):
        yield Call(lambda: a.read(10), lambda: b.send(b"hello"), b"hello")


# ---- sending ----------------------------------------------------------------------------------------------------------------


def sending(function, result, timeout=None):
    """Sends the data that fill() could not send first, because a TLS record that was sent in part has to be
    completed."""
    with pair() as (a, b), ExitStack() as stack:
        fill(a)
        a.settimeout(timeout)

        def drain():
            while b.recv(65536)[-1:] == b".":
                pass

        def release():
            thread = threading.Thread(target=drain)
            thread.start()
            stack.callback(thread.join)

        yield Call(lambda: (a.send(b"." * 16384), function(a))[1], release, result)


@case("ssl.SSLSocket.send()", "a full socket")
def _():
    yield from sending(lambda a: a.send(b"hello"), 5)


@case("ssl.SSLSocket.sendall()", "a full socket")
def _():
    yield from sending(lambda a: a.sendall(b"hello"), None)


@case("ssl.SSLSocket.write()", "a full socket, with a timeout")
def _():
    yield from sending(lambda a: a.write(b"hello"), 5, 3600)


@case("ssl.SSLSocket.sendfile()", "a full socket")
def _():
    with tempfile.TemporaryFile() as file:
        file.write(b"hello")

        def send(a):
            file.seek(0)
            return a.sendfile(file)

        yield from sending(send, 5)


# ---- beginning and end --------------------------------------------------------------------------------------------------------


def handshaking(timeout):
    a, b = socket.socketpair()
    with a, b:
        a.settimeout(timeout)

        def call():
            try:
                client_context().wrap_socket(a).close()
            except OSError:  # the other end gave up
                pass

        yield Call(call, b.close, again=False, state="closed: a handshake can't be gone on with")


@case("ssl.SSLSocket.do_handshake()", "a silent peer")
def _():
    """the connection can't be used afterwards, and is closed"""
    yield from handshaking(None)


@case("ssl.SSLSocket.do_handshake()", "a silent peer, with a timeout")
def _():
    yield from handshaking(3600)


def accept_tls(server):
    try:
        server.accept()[0].close()
    except OSError:  # the other end gave up
        pass


@case("ssl.SSLSocket.accept()", "a silent peer")
def _():
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_connection(plain.getsockname()) as client:
        with server_context().wrap_socket(plain, server_side=True) as server:
            yield Call(lambda: accept_tls(server), client.close, again=False, state="the connection is closed")


@case("ssl.SSLSocket.connect()", "a silent peer")
def _():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def call():
            with client_context().wrap_socket(socket.socket()) as client, suppress(OSError):
                client.connect(server.getsockname())

        def release():
            server.settimeout(blocking.ENOUGH)
            server.accept()[0].close()

        yield Call(call, release, again=False, state="closed")


@case("ssl.SSLContext.load_cert_chain()", "a FIFO")
def _():
    with fifo() as (name, write):

        def call():
            with suppress(ssl.SSLError):  # the file is empty
                client_context().load_cert_chain(name)

        yield Call(call, lambda: write(b""))


@case("ssl.get_server_certificate()", "a silent peer")
def _():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def call():
            try:
                ssl.get_server_certificate(server.getsockname())
            except OSError:
                pass

        def release():
            server.settimeout(blocking.ENOUGH)
            server.accept()[0].close()

        yield Call(call, release, again=False, state="closed")


def unwrapping(timeout):
    """waits until the other end has closed the connection, too"""
    with pair(timeout) as (a, b), ExitStack() as stack:

        def release():
            thread = threading.Thread(target=b.unwrap)
            thread.start()
            stack.callback(thread.join)

        yield Call(lambda: a.unwrap().close(), release)


@case("ssl.SSLSocket.unwrap()", "a silent peer")
def _():
    yield from unwrapping(None)


@case("ssl.SSLSocket.unwrap()", "a silent peer, with a timeout")
def _():
    yield from unwrapping(3600)


class LateModule(unittest.TestCase):
    def test_import_in_a_thread_that_opted_in(self):
        """such a thread imports ssl for the first time"""
        code = f"""
import socket, sys, threading, bough
assert "_ssl" not in sys.modules
a, b = socket.socketpair()
ready, ends = threading.Event(), []
def body():
    import ssl
    context = ssl.create_default_context(cafile={os.path.join(folder.name, "crt")!r})
    context.check_hostname = False
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain({os.path.join(folder.name, "crt")!r}, {os.path.join(folder.name, "key")!r})
    other = threading.Thread(target=lambda: ends.append(server.wrap_socket(b, server_side=True)))
    other.start()
    client = context.wrap_socket(a)
    other.join()
    ready.set()
    with client, ends[0]:
        try:
            print("read", client.recv(10))
        except bough.ThreadExit as exit:
            print("cut", exit.record.reason)
worker = bough.Thread(target=body)
worker.enable_io_interrupt = True
worker.start()
while worker.is_alive() and not ready.wait(0.1):
    pass
worker.interrupt("enough")
worker.join()
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=blocking.ENOUGH)
        self.assertEqual((done.stdout, done.stderr), ("cut enough\n", ""))


class Errors(unittest.TestCase):
    def test_as_ever(self):
        """TLS errors that no interrupt has caused are not changed, in a thread that has opted in"""
        seen = []

        def body():
            a, b = socket.socketpair()
            with a, b:
                b.sendall(b"this is no TLS" * 100)
                try:
                    client_context().wrap_socket(a)
                except Exception as error:
                    seen.append(type(error))

        worker = bough.Thread(target=body)
        worker.enable_io_interrupt = True
        worker.start()
        worker.join()
        self.assertEqual(seen, [ssl.SSLError])


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
