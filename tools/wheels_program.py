# SPDX-License-Identifier: MIT
"""Run with an installed wheel: a server whose threads are stopped while they block, the command, the log."""
import logging
import socket
import subprocess
import sys
import threading
import time

import bough


def echo(connection):
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)


def serve(listener, ready):
    with bough.branch("clients") as clients:
        ready.set()
        while True:
            clients.add(echo, listener.accept()[0], name="echo")


def main():
    records = []
    logging.getLogger("bough").addHandler(type("Kept", (logging.Handler,), {"emit": lambda self, record: records.append(record)})())
    logging.getLogger("bough").setLevel("INFO")
    bough.log_to()
    ready, begin = threading.Event(), time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener, bough.branch("server") as server:
        server.add(serve, listener, ready, name="accept")
        ready.wait()
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
            tree = subprocess.run([sys.executable, "-m", "bough", "tree", str(__import__("os").getpid())], capture_output=True, text=True)
            assert "accept" in tree.stdout and "echo" in tree.stdout, tree
            server.interrupt("done")
    bough.log_to(None)
    assert any(record.bough_reason == "done" for record in records), records
    print(f"bough {bough.__version__} on Python {sys.version.split()[0]}: stopped, {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
