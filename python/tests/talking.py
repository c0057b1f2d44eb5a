# SPDX-License-Identifier: MIT
"""Servers that answer only when the test allows it, for the clients of the standard library."""
import contextlib
import socket
import threading

from channels import listening


@contextlib.contextmanager
def serving(handle):
    """handle(connection, said) serves each connection; `said` is an event. Yields the port, and a function that sets the event."""
    said, stop = threading.Event(), threading.Event()

    def serve(client):
        with client, contextlib.suppress(OSError):
            handle(client, said)

    def accept(server):
        threads = []
        while True:
            client, _ = server.accept()
            if stop.is_set():
                client.close()
                break
            threads.append(threading.Thread(target=serve, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    with listening() as (server, address):
        thread = threading.Thread(target=accept, args=(server,))
        thread.start()
        try:
            yield address[1], said.set
        finally:
            stop.set()
            said.set()
            socket.create_connection(address).close()
            thread.join()


def talk(*script):
    """A server that sends the first reply at once, and each other one after a line. A reply with "..." waits for the
    event, one with "body:" for the lines up to a line with a dot. {tag} is the first word of the line."""

    def handle(client, said):
        with client.makefile("rwb", 0) as file:
            for number, reply in enumerate(script):
                line = file.readline() if number else b" "
                if reply.startswith("body:"):
                    reply = reply[5:]
                    while line.rstrip() != b".":
                        line = file.readline()
                if not line:
                    return
                if reply.startswith("..."):
                    reply = reply[3:]
                    said.wait()
                tag = line.split()[0].decode() if line.strip() else ""
                file.write((reply.replace("{tag}", tag) + "\r\n").encode())

    return handle


def answer(at_once, later):
    """Answers an HTTP request: one part at once, the other when the event is set."""

    def handle(client, said):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return
            head += piece
        client.sendall(at_once)
        said.wait()
        client.sendall(later)

    return handle


def nothing(client, said):
    """Reads nothing until the event is set; then reads everything."""
    said.wait()
    while client.recv(1 << 20):
        pass


def close(client, said):
    said.wait()


def read_all_then(reply):
    """Reads nothing until the event is set; then answers."""

    def handle(client, said):
        said.wait()
        client.sendall(reply)
        while client.recv(1 << 20):
            pass

    return handle
