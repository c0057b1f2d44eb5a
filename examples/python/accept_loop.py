# SPDX-License-Identifier: MIT
"""accept_loop.py [PORT]: a server that echoes. A thread for each client, all of them joined at the end, which Ctrl-C brings."""
import socket
import sys

from bough import branch

def handle_client(conn, addr):
    with conn:
        while data := conn.recv(4096):
            conn.sendall(data)

def accept_loop(server_conn):
    with branch() as clients:
        with server_conn:
            while True:
                clients.add(handle_client, *server_conn.accept())

if __name__ == "__main__":
    server = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    print("listening on port", server.getsockname()[1], flush=True)
    accept_loop(server)
