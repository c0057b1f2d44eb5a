# SPDX-License-Identifier: MIT
"""Limits of limits.txt that need a separate process: calls that hold the GIL, and syslog()."""
import unittest
from pathlib import Path

import enumeration
import namespaces
from channels import fifo
from process import run

TESTS = Path(__file__).resolve().parent
ROWS = enumeration.read()
LIMITS = enumeration.limits(ROWS)
SHOWN = []  # the rows that have a test here

# Another thread counts, and a child process lets the call return when it has slept for a while. The script's arguments
# define `call` and `release`.
KEEPS = """
import os, sys, threading, time
from pathlib import Path

def until_asleep(pid):
    same, before = 0, None
    while same < 20:
        status = Path(f"/proc/{pid}/status").read_text()
        now = ("State:\\tS" in status or "State:\\tD" in status) and status.partition("\\nvoluntary_ctxt_switches:")[2].split()[0]
        same, before = (same + 1 if now and now == before else 0), now
        time.sleep(0.005)

counted, begun = [0], threading.Event()

def count():
    while True:
        counted[0] += 1
        if counted[0] == 10:
            begun.set()
        time.sleep(0.001)

if os.fork() == 0:
    os.read(0, 1)
    until_asleep(os.getppid())
    release()
    os._exit(0)
threading.Thread(target=count, daemon=True).start()
begun.wait()
os.write(go, b"x")
before = counted[0]
call()
print("counted", counted[0] - before)
os.wait()
"""


def shows(call, what):
    """A decorator, for the test of this row."""
    key = call, what
    SHOWN.append(key)
    return unittest.skipUnless(ROWS[key].is_here() and LIMITS[key].is_here(), "this interpreter has no such limit")


needs_namespaces = unittest.skipUnless(namespaces.is_root(), "needs a network and mounts of its own, and so root")


class HoldsTheGIL(unittest.TestCase):
    """No other thread runs while the call waits, so none can interrupt the call."""

    def keeps(self, script):
        head = "import os\nr, go = os.pipe()\nos.dup2(r, 0)\n"
        process = run("-c", head + script + KEEPS, path=[TESTS])
        self.assertEqual(process.status, 0, process)
        counted = int(process.out.split()[-1])
        # If the call released the GIL, the count would be about 100, because the call sleeps for 0.1 s. Before and
        # after it the other thread may run once.
        self.assertLessEqual(counted, 10, process)

    def keeps_with_fifo(self, script):
        """`name` is a FIFO, which the child process opens for writing."""
        with fifo() as (name, _):
            self.keeps(f"name = {name!r}\ndef release():\n    open(name, 'w').close()\n{script}")

    @shows("os.posix_spawn()", "a FIFO among its file actions")
    def test_posix_spawn(self):
        self.keeps_with_fifo("""
def call():
    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 5, name, os.O_RDONLY, 0)])
    # It is not waited for here: waitpid() lets the other thread run.
""")

    @shows("readline.read_history_file()", "a FIFO")
    def test_readline(self):
        self.keeps_with_fifo("""
import contextlib, readline

def call():
    with contextlib.suppress(OSError):  # that is no regular file
        readline.read_history_file(name)
""")

    @shows("curses.napms()", "the time")
    def test_napms(self):
        self.keeps("""
import curses
os.environ["TERM"] = "dumb"
curses.initscr()

def call():
    curses.napms(300)

def release():
    pass
""")

    @shows("socket.getnameinfo()", "a silent name server")
    @needs_namespaces
    def test_getnameinfo(self):
        self.keeps("""
import namespaces, socket
assert namespaces.enter()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))

def release():
    query, sender = server.recvfrom(600)
    server.sendto(query[:2] + b"\\x81\\x83" + query[4:], sender)

def call():
    socket.getnameinfo(("192.0.2.1", 80), 0)
""")


class Syslog(unittest.TestCase):
    @shows("syslog.syslog()", "a full socket")
    @needs_namespaces
    def test_full(self):
        process = run("-c", """
import ctypes, socket, syslog
import blocking, namespaces
from blocking import Call

assert namespaces.enter()
assert ctypes.CDLL(None).mount(b"tmpfs", b"/dev", b"tmpfs", 0, None) == 0

def make():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        log.bind("/dev/log")
        sender.setblocking(False)
        count = 0
        try:
            while True:
                sender.sendto(b".", "/dev/log")
                count += 1
        except BlockingIOError:
            pass
        yield Call(lambda: syslog.syslog("x"), lambda: [log.recv(1) for _ in range(count)])

make.row, make.arguments = blocking.ROWS["syslog.syslog()", "a full socket"], ()
blocking.begin()
blocking.limit(make)
print("shown")
""", path=[TESTS])
        self.assertEqual((process.status, process.out), (0, "shown\n"), process)


if __name__ == "__main__":
    unittest.main()
