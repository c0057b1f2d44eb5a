# SPDX-License-Identifier: MIT
"""Lookups at a silent name server are interrupted at once, and the next lookup works. The server runs in separate
namespaces, which needs root."""
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import process

PROGRAM = r"""
import contextlib, ctypes, fcntl, os, socket, struct, sys, threading, time
NEWNS, NEWNET, BIND, REC, PRIVATE = 0x20000, 0x40000000, 4096, 16384, 1 << 18
SIOCSIFFLAGS, UP = 0x8914, 0x41
libc = ctypes.CDLL(None, use_errno=True)

def must(result):
    if result != 0:
        sys.exit(77)

must(libc.unshare(NEWNS | NEWNET))
must(libc.mount(b"", b"/", b"", REC | PRIVATE, None))
for name, text in (("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"), ("nsswitch.conf", "hosts: dns\n")):
    with open(os.path.join(sys.argv[1], name), "w") as file:
        file.write(text)
    must(libc.mount(file.name.encode(), f"/etc/{name}".encode(), b"", BIND, None))
with socket.socket() as s:
    fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))

import bough

def answer(query, sender):
    reply = query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0"
    question = query[12 : query.index(b"\0", 12) + 5]
    server.sendto(reply + question + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + bytes([192, 0, 2, 9]), sender)

calls = {
    "getaddrinfo": lambda: socket.getaddrinfo("silent.example", 80, socket.AF_INET),
    "gethostbyname": lambda: socket.gethostbyname("silent.example"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("silent.example"),
    "gethostbyaddr": lambda: socket.gethostbyaddr("192.0.2.1"),
    "getnameinfo": lambda: socket.getnameinfo(("192.0.2.1", 80), 0),
    "create_connection": lambda: socket.create_connection(("silent.example", 80)),
}
if sys.version_info < (3, 12):
    del calls["getnameinfo"]  # it holds the GIL: no other thread runs until libc has its answer
for name, call in calls.items():
    ended = []

    def run():
        try:
            ended.append(call())
        except BaseException as error:
            ended.append(type(error).__name__)

    before = len(os.listdir("/proc/self/fd"))
    thread = bough.Thread(target=run)
    thread.enable_io_interrupt = True
    thread.start()
    query, sender = server.recvfrom(600)  # libc has asked, and waits
    begun = time.monotonic()
    thread.interrupt()
    thread.join()
    took = time.monotonic() - begun
    server.settimeout(0.01)
    while True:  # answer each helper that there is no such name, so that it closes its socket
        server.sendto(query[:2] + b"\x81\x83" + query[4:], sender)
        if len(os.listdir("/proc/self/fd")) <= before:
            break
        with contextlib.suppress(TimeoutError):
            query, sender = server.recvfrom(600)
    server.settimeout(None)
    print(name, *ended, took, flush=True)

threading.Thread(target=lambda: answer(*server.recvfrom(600)), daemon=True).start()
print("then", socket.gethostbyname("answered.example"))
"""


class Lookups(unittest.TestCase):
    def test_interrupted_at_once(self):
        """each lookup of the socket module is interrupted while libc waits for an answer"""
        with TemporaryDirectory() as folder:
            program = Path(folder) / "program.py"
            program.write_text(PROGRAM)
            done = process.run(program, folder)
        if done.status == 77:
            self.skipTest("no namespaces of our own")
        self.assertEqual(done.status, 0, done)
        *cut, then = [line.split() for line in done.out.splitlines()]
        self.assertEqual(len(cut), 5 if sys.version_info < (3, 12) else 6, done)
        for name, ended, took in cut:
            self.assertEqual(ended, "ThreadExit", name)
            self.assertLess(float(took), 15 * process.SCALE, name)  # libc waits for 30 s
        self.assertEqual(then, ["then", "192.0.2.9"])


if __name__ == "__main__":
    unittest.main()
