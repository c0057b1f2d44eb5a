# SPDX-License-Identifier: MIT
"""The standard library's servers, without a client or with a silent one; and calls of modules that stand alone."""
import contextlib
import ctypes
import http.server
import os
import socket
import socketserver
import threading
import unittest
import warnings
import wsgiref.simple_server
import xmlrpc.server

import blocking
from blocking import Call
from channels import pair, pipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import asyncore
        import smtpd
    except ImportError:
        asyncore = smtpd = None  # removed in 3.12

cases = blocking.Cases(__name__)
case = cases.case
ANY = ("127.0.0.1", 0)


def quit_server(server):
    """The server checks for shutdown() only between two polls, so a connection has to come."""
    thread = threading.Thread(target=server.shutdown)
    thread.start()
    while thread.is_alive():
        # the server has quit by now: no thread reads the data, and there is no more room
        with contextlib.suppress(TimeoutError):
            poke(server, 0.1)
        thread.join(0.01)


def poke(server, timeout=blocking.ENOUGH):
    if server.socket.type == socket.SOCK_DGRAM:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.sendto(b"x", server.server_address)
        return
    socket.create_connection(server.server_address, timeout=timeout).close()


def serving(call, make, what="no connection"):
    @case(f"{call}.serve_forever()", what)
    def _():
        with make() as server:
            yield Call(lambda: server.serve_forever(poll_interval=3600), lambda: quit_server(server))


def handling(call, make):
    @case(f"{call}.handle_request()", "no connection")
    def _():
        with make() as server:
            yield Call(server.handle_request, lambda: poke(server))


@case("socketserver.TCPServer.handle_request()", "no connection, with a timeout")
def _():
    with socketserver.TCPServer(ANY, Silent) as server:
        server.timeout = 3600
        yield Call(server.handle_request, lambda: poke(server))


class Silent(socketserver.BaseRequestHandler):
    def handle(self):
        pass


class SilentPages(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass


serving("socketserver.TCPServer", lambda: socketserver.TCPServer(ANY, Silent))
serving("socketserver.UDPServer", lambda: socketserver.UDPServer(ANY, Silent), "no datagram")
serving("http.server.HTTPServer", lambda: http.server.HTTPServer(ANY, SilentPages))
handling("socketserver.TCPServer", lambda: socketserver.TCPServer(ANY, Silent))
handling("xmlrpc.server.SimpleXMLRPCServer", lambda: xmlrpc.server.SimpleXMLRPCServer(ANY, logRequests=False))


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


handling("wsgiref.simple_server.WSGIServer", lambda: wsgiref.simple_server.WSGIServer(ANY, QuietHandler))


@case("http.server.BaseHTTPRequestHandler.handle()", "a silent client")
def _():
    """the handler leaves, and the server with it"""
    with pair() as (a, b):
        yield Call(
            lambda: SilentPages(a, "", None), b.close, again=False, state="the connection is the server's to close"
        )


# ---- the end of a server --------------------------------------------------------------------------------------------------------


@case("socketserver.ThreadingTCPServer.server_close()", "a handler's thread")
def _():
    begun, end = threading.Event(), threading.Event()

    class Slow(socketserver.BaseRequestHandler):
        def handle(self):
            begun.set()
            end.wait()

    server = socketserver.ThreadingTCPServer(ANY, Slow)
    with socket.create_connection(server.server_address):
        server.handle_request()
        begun.wait()
        handlers = list(server._threads)
        yield Call(server.server_close, end.set, again=False, state="closed; the handler's thread goes on")
        end.set()
        for thread in handlers:
            thread.join()
    server.server_close()


@case("socketserver.ForkingTCPServer.server_close()", "a handler's process")
def _():
    r, w = os.pipe()

    class Slow(socketserver.BaseRequestHandler):
        def handle(self):
            os.read(r, 1)

    server = socketserver.ForkingTCPServer(ANY, Slow)
    with socket.create_connection(server.server_address):
        server.handle_request()
        yield Call(server.server_close, lambda: os.write(w, b"x"))
        os.write(w, b"x")
    server.server_close()
    os.close(r)
    os.close(w)


@case("socketserver.BaseServer.shutdown()", "serve_forever()")
def _():
    with socketserver.TCPServer(ANY, Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(3600,))
        thread.start()
        blocking.until_blocked(thread)
        yield Call(server.shutdown, lambda: poke(server), again=False, state="serve_forever() ends all the same")
        poke(server)
        thread.join()


@case("smtpd.SMTPServer", "no connection")
def _():
    sockets = {}
    server = smtpd.SMTPServer(ANY, None, map=sockets)
    yield Call(
        lambda: asyncore.loop(3600, map=sockets, count=1), lambda: socket.create_connection(server.socket.getsockname()).close()
    )
    asyncore.close_all(sockets)


# ---- others -------------------------------------------------------------------------------------------------------------------------


@case("ctypes: a function of a library", "an empty pipe")
def _():
    with pipe() as (r, w):
        read = ctypes.CDLL(None).read
        yield Call(lambda: read(r, ctypes.create_string_buffer(10), 10), lambda: os.write(w, b"hello"), 5)


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
