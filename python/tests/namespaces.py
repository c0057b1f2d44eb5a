# SPDX-License-Identifier: MIT
"""A separate network and name server for the calling process. Needs root."""
import ctypes
import fcntl
import os
import socket
import struct
import tempfile
import threading

NEWNS, NEWNET, BIND, REC, PRIVATE = 0x20000, 0x40000000, 4096, 16384, 1 << 18
SIOCSIFFLAGS, UP = 0x8914, 0x41
FILES = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n", "nsswitch.conf": "hosts: dns\n"}


def enter():
    """Moves the calling thread, and threads that it starts later, into the namespaces. Returns whether that
    succeeded."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEWNS | NEWNET) != 0 or libc.mount(b"", b"/", b"", REC | PRIVATE, None) != 0:
        return False
    for name, text in FILES.items():
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            if libc.mount(file.name.encode(), f"/etc/{name}".encode(), b"", BIND, None) != 0:
                return False
    with socket.socket() as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))
    return True


class NameServer:
    """A server that answers, when the test allows it, that there is no such name."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.thread = threading.Thread(target=self.answer)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.release()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", 53))
        self.thread.join()
        self.socket.close()

    def release(self):
        if not self.thread.ident:
            self.thread.start()

    def answer(self):
        while True:
            query, sender = self.socket.recvfrom(600)
            if not query:
                return
            self.socket.sendto(query[:2] + b"\x81\x83" + query[4:], sender)


def is_root():
    return os.geteuid() == 0
