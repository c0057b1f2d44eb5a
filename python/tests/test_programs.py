# SPDX-License-Identifier: MIT
"""The programs of examples/programs, which were not written for bough: under `python -m bough run`, Ctrl-C and SIGTERM
end them, and their threads clean up. `test_programs.py --table` measures each with and without bough, for
docs/programs.md."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from installed import lack_of, needs
from process import ROOT, SCALE, Process, run
from servers import server

PROGRAMS = ROOT / "examples/programs"
UNDER_BOUGH = ("-m", "bough", "run")
SOON = 10 * SCALE  # seconds: a program whose threads do not end by the interrupt takes the ladder's 30


class Program:
    """One of the programs: its imports, the way to make it busy, its output then, and the output of its cleanup."""

    modules = ()
    begun = ended = ""
    statuses = {signal.SIGINT: -signal.SIGINT, signal.SIGTERM: -signal.SIGTERM}

    def __init__(self, name):
        self.name = name

    @contextlib.contextmanager
    def running(self, *how):
        """Runs the program until its thread works."""
        with contextlib.ExitStack() as stack:
            arguments = self.arguments(stack)
            process = stack.enter_context(Process(*how, PROGRAMS / f"{self.name}.py", *arguments))
            self.make_busy(process, stack)
            process.until(self.begun + "\n")  # with the next output the thread is in its try block
            self.settle(process)
            yield process

    def arguments(self, stack):
        return ()

    def make_busy(self, process, stack):
        pass

    def settle(self, process):
        pass


class Server(Program):
    def __init__(self, name, begun, ended, request, **more):
        self.name, self.begun, self.ended, self.request = name, begun, ended, request
        self.__dict__.update(more)

    def make_busy(self, process, stack):
        port = int(process.until(r"listening on (\d+)\n").group(1))
        client = stack.enter_context(self.connected(port))
        client.sendall(self.request)

    def settle(self, process):
        process.until_in("poll", main=True)  # main has started the thread, and waits for the next client

    def connected(self, port):
        """Connects to the program, which listens on its port a moment after it has printed it."""
        end = time.monotonic() + 30 * SCALE
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=30 * SCALE)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)


class Scheduler(Program):
    modules, begun, ended = ("apscheduler",), "job begins", "job ends\n(.*\n)*shut down"
    statuses = {signal.SIGINT: 0, signal.SIGTERM: -signal.SIGTERM}

    def settle(self, process):
        """Waits until the program waits for the next job, because it logs and drops any exception while it submits a
        job."""
        for _ in range(5):
            process.until_in("futex", main=True)


class Watcher(Program):
    modules, begun, ended = ("watchdog",), "file is handled", "handler ends\n(.*\n)*stopped"

    def arguments(self, stack):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory())
        return (self.folder,)

    def make_busy(self, process, stack):
        process.until("watching\n")
        Path(self.folder, "new").touch()


class Remote(Program):
    modules, begun, ended = ("paramiko",), "command runs", "connection closed"

    def arguments(self, stack):
        host = stack.enter_context(server("sshd"))
        command = "echo on the other side; sleep 3600"
        return host["CLIENTS_SSH_KEY"], host["CLIENTS_SSH_USER"], command, "127.0.0.1:" + host["CLIENTS_SSH"]


class Window(Program):
    modules, begun, ended = ("tkinter",), "fetching", "fetching ends"

    def arguments(self, stack):
        reading, writing = os.pipe()
        try:
            screen = subprocess.Popen(
                ["Xvfb", "-displayfd", str(writing), "-nolisten", "tcp"], pass_fds=[writing], stderr=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise unittest.SkipTest("Xvfb is not installed") from None
        finally:
            os.close(writing)
        stack.callback(screen.communicate)
        stack.callback(screen.terminate)
        with open(reading) as number:
            os.environ["DISPLAY"] = ":" + number.readline().strip()
        return ()


REQUEST = b"GET /%s HTTP/1.0\r\n\r\n"
PROGRAM_LIST = [
    Server("http_server", "request begins", "request ends", REQUEST % b"events", statuses={signal.SIGINT: 0, signal.SIGTERM: -15}),
    Server("socket_server", "client has come", "client is gone", b"hello\n"),
    Server(
        "flask_app",
        "request begins",
        "request ends",
        REQUEST % b"next",
        modules=("flask",),
        statuses={signal.SIGINT: 0, signal.SIGTERM: -15},
    ),
    Scheduler("scheduler"),
    Watcher("watcher"),
    Remote("remote"),
    Window("window"),
]


DRAWING = """
import signal, tkinter

def draw():
    signal.raise_signal(signal.SIGINT)
    while True:
        pass

root = tkinter.Tk()
root.after(0, draw)
try:
    root.mainloop()
finally:
    print("window closed", flush=True)
"""


class Programs(unittest.TestCase):
    @needs("tkinter")
    def test_ctrl_c_while_tk_runs_a_function(self):
        """it ends the program; tkinter would print it and go on"""
        with contextlib.ExitStack() as stack, tempfile.NamedTemporaryFile("w", suffix=".py") as program:
            Window("window").arguments(stack)
            print(DRAWING, file=program, flush=True)
            process = run(*UNDER_BOUGH, program.name)
        self.assertEqual((process.status, process.out), (-signal.SIGINT, "window closed\n"), str(process))

    def check(self, program, signo):
        if lacking := [lack for lack in map(lack_of, program.modules) if lack]:
            self.skipTest(", ".join(lacking))
        with program.running(*UNDER_BOUGH) as process:
            process.send(signo)
            process.end()
        self.assertEqual(process.status, program.statuses[signo], str(process))
        self.assertRegex(process.out, program.ended)
        self.assertLess(process.took, SOON)
        for word in ("rung", "bough: ", "/bough/_"):
            self.assertNotIn(word, process.err)


def add_tests():
    for program in PROGRAM_LIST:
        for signo in (signal.SIGINT, signal.SIGTERM):
            name = f"test_{program.name}_{signo.name.lower()}"
            setattr(Programs, name, lambda self, program=program, signo=signo: self.check(program, signo))


add_tests()

# ---- the table ---------------------------------------------------------------------------------------------------------

WAITED = 5  # the seconds after which a program counts as hanging


def measured(program, how, signo):
    with program.running(*how) as process:
        process.send(signo)
        try:
            process.process.wait(WAITED)
            hangs = False
        except subprocess.TimeoutExpired:
            hangs = True
            process.process.kill()
        took = time.monotonic() - process.sent
        process.end()
    if hangs:
        return "hangs"
    cleaned = "cleaned up" if re.search(program.ended, process.out) else "no cleanup"
    return f"{took:.2f} s, status {process.status}, {cleaned}"


def table():
    print("| program | signal | plain | under bough |\n|---|---|---|---|")
    for program in PROGRAM_LIST:
        for signo in (signal.SIGINT, signal.SIGTERM):
            results = [measured(program, how, signo) for how in ((), UNDER_BOUGH)]
            print(f"| {program.name} | {signo.name} | {results[0]} | {results[1]} |", flush=True)


if __name__ == "__main__":
    table() if sys.argv[1:] == ["--table"] else unittest.main()
