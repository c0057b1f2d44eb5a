# SPDX-License-Identifier: MIT
"""The example of 2007, by which branches were proposed (python-ideas, "Thread exceptions and interruption"), as it
stands there, and a main program around it: a server that sends back what it receives, in capitals.

    python accept_loop.py [PORT]        then: nc localhost PORT, and Ctrl-C here
"""
import socket
import sys

from bough import branch


def handle_client(conn, addr):
    with conn:
        while data := conn.recv(4096):
            if data == b"fail\n":
                raise ValueError(f"{addr[0]} asked for a failure")
            conn.sendall(data.upper())


def accept_loop(server_conn):
    with branch() as clients:
        with server_conn:
            while True:
                clients.add(handle_client, *server_conn.accept())


if __name__ == "__main__":
    server = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    print("listening on port", server.getsockname()[1], flush=True)
    try:
        accept_loop(server)
    except KeyboardInterrupt:
        print("all clients are gone", flush=True)
