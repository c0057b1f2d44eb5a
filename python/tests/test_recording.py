# SPDX-License-Identifier: MIT
"""Rule 48: recordings of Python programs, read by the command."""
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import bough

COMMAND = Path(bough.__file__).parent / "_command" / "bough"

PROGRAM = """
import ctypes, os, sys, threading, time
import bough
sys.setswitchinterval(60)  # a thread that computes keeps the GIL

without_gil = ctypes.CDLL(None).read
with_gil = ctypes.PyDLL(None).write
byte = ctypes.create_string_buffer(1)

tids = {}

def is_in_call_with(fd):
    with open(f"/proc/self/task/{tids[fd]}/syscall") as file:
        return f"{fd:#x}" in file.read().split()[1:2]

def until_in_call_with(fd):
    while fd not in tids or not is_in_call_with(fd):
        time.sleep(0.001)

def read(fd):
    tids[fd] = threading.get_native_id()
    os.read(fd, 1)

def read_without_gil(fd):
    tids[fd] = threading.get_native_id()
    without_gil(fd, byte, 1)

r, w = os.pipe()
r2, w2 = os.pipe()
with bough.branch("readers") as b:
    b.add(read, r)
    b.add(read_without_gil, r2)
    until_in_call_with(r)
    until_in_call_with(r2)
    with_gil(w2, b"x", 1)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
    b.interrupt("closing time")
"""

ARGUMENTS = """
import os, socket, subprocess, sys, threading, time
import bough

def work(fifo):
    time.sleep(0.001)
    os.close(os.open(fifo, os.O_RDWR))
    open(fifo, "r+b", buffering=0).close()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect_ex("/no/such/socket")
    with socket.socket() as s:
        s.settimeout(1)
        s.connect_ex(("127.0.0.1", 1))
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(b"x", ("127.0.0.1", 9))
    with socket.socketpair()[0] as s:
        s.settimeout(0.001)
        try:
            s.recv(1)
        except TimeoutError:
            pass
    child = subprocess.Popen(["true"])
    child.wait()
    print(child.pid)
    threading.Semaphore(0).acquire(timeout=0.001)

with bough.branch("workers") as b:
    b.add(work, sys.argv[1])
"""


def listed(file):
    return subprocess.run([COMMAND, "trace", file], capture_output=True, text=True, check=True).stdout


class Recordings(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "trace"

    def run_program(self, *arguments, **variables):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60,
                              env={**os.environ, **variables})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_by_the_environment(self):
        """BOUGH_TRACE records branches, calls, interrupts and waits for the GIL"""
        self.run_program("-c", PROGRAM, BOUGH_TRACE=str(self.file))
        text = listed(self.file)
        for wanted in ("branch readers begins", "call read (fd ", "(closing time) to branch readers", "wait for the GIL, "):
            self.assertIn(wanted, text)

    def test_arguments(self):
        """a call of the interpreter has its main argument: path, address, process, time; or none"""
        fifo = self.file.with_name("fifo")
        os.mkfifo(fifo)
        child = self.run_program("-c", ARGUMENTS, fifo, BOUGH_TRACE=str(self.file), BOUGH_TRACE_THRESHOLD="0").strip()
        text = listed(self.file)
        for wanted in (r"clock_nanosleep \([\d.]+ ms\)", rf"openat \({fifo}\)", r"connect \(fd \d+, /no/such/socket\)",
                       r"connect \(fd \d+, 127\.0\.0\.1:1\)", r"sendto \(fd \d+, 127\.0\.0\.1:9\)",
                       r"ppoll \(fd \d+, at most \d+ ms\)", rf"wait4 \(process {child}\)", r"sem_wait \(0x[\da-f]+\)",
                       r"end of a branch \(workers\)"):
            self.assertRegex(text, f"call {wanted}, ")
        self.assertEqual(text.count(f"openat ({fifo})"), 2, text)
        self.file.unlink()
        self.run_program("-c", ARGUMENTS, fifo, BOUGH_TRACE=str(self.file), BOUGH_TRACE_THRESHOLD="0", BOUGH_TRACE_ARGUMENTS="no")
        self.assertNotRegex(listed(self.file), r"call .* \(")
        content = self.file.read_bytes()
        for secret in (os.fsencode(fifo), b"/no/such/socket"):
            self.assertNotIn(secret, content)

    def test_run(self):
        """python -m bough run --trace FILE"""
        self.run_program("-m", "bough", "run", "--trace", self.file, "-c", "import time; time.sleep(0.01)")
        self.assertIn("thread begins", listed(self.file))

    def test_trace(self):
        """bough.trace() is a block; it refuses what it can't do"""
        with bough.trace(self.file, threshold=0, arguments=False) as recording:
            with self.assertRaises(OSError):
                bough.trace(self.file)
            with bough.branch("inside"):
                pass
        self.assertFalse(recording.stop())
        self.assertIn("branch inside begins", listed(self.file))
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        for wrong in ({"size": 1}, {"size": 1 << 60}, {"threshold": -1}, {"threshold": float("nan")}):
            with self.assertRaisesRegex(ValueError, r"trace\(\) (size|threshold) must be .*, got "):
                bough.trace(self.file, **wrong)
        for wrong in ({"size": "64M"}, {"size": 1e6}, {"threshold": "1"}, {"arguments": 1}):
            with self.assertRaisesRegex(TypeError, r"trace\(\) (size|threshold|arguments) must be .*, got "):
                bough.trace(self.file, **wrong)
        link = self.file.with_name("link")
        link.symlink_to(self.file)
        with self.assertRaises(OSError):
            bough.trace(link)


if __name__ == "__main__":
    unittest.main()
