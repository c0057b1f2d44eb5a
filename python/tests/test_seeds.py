# SPDX-License-Identifier: MIT
"""The programs of examples/python, each in a process."""
import re
import signal
import socket
import tempfile
import unittest
from pathlib import Path

from process import LIMIT, ROOT, Process, run

EXAMPLES = ROOT / "examples" / "python"

# Makes the unchanged programs sleep for shorter times.
FASTER = """
import time
_sleep = time.sleep
time.sleep = lambda seconds: _sleep(seconds / 20)
"""


@unittest.skipUnless(EXAMPLES.is_dir(), "the examples are not in a source distribution")
class Seeds(unittest.TestCase):
    limit = 120

    def test_graceful_exit(self):
        """graceful_exit.py: eight threads are asked to stop"""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "sitecustomize.py").write_text(FASTER)
            done = run(EXAMPLES / "graceful_exit.py", path=[folder])
        self.assertEqual((done.status, done.out, done.err), (0, "exiting thread!\n" * 8, ""))

    def test_graceful_exit_by_ctrl_c(self):
        """graceful_exit.py: Ctrl-C interrupts them all, and is handled: status 0"""
        # Without a buffer, a line and its end are two writes, and another thread's line may come between them.
        with Process(EXAMPLES / "graceful_exit.py", env={"PYTHONUNBUFFERED": ""}) as p:
            while len(p.calls()) < 9:
                self.assertIsNone(p.process.poll())
            # before start() has returned Ctrl-C would end the program like any other program
            p.until_in("clock_nanosleep", main=True)
            p.send(signal.SIGINT)
            self.assertEqual(p.end(), 0, p)
            self.assertEqual(p.out, "exiting thread!\n" * 8)
            self.assertEqual(p.err, "")

    def serve(self, name, *arguments):
        p = Process(EXAMPLES / name, *arguments)
        self.addCleanup(p.__exit__)
        return p, int(p.until(r"listening on port (\d+)\n").group(1))

    def test_allow_interruption(self):
        """allow_interruption.py: interrupted while it waits for a connection"""
        p, port = self.serve("allow_interruption.py")
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(b"hello")
                self.assertEqual(s.recv(100), b"HELLO")
        p.until_in("futex", main=True)
        p.send(signal.SIGINT)
        self.assertEqual(p.end(), 0, p)
        self.assertEqual(p.out.splitlines()[1:], ["starting", "stopped"])
        self.assertEqual(p.err, "")

    def test_allow_interruption_in_recv(self):
        """allow_interruption.py: interrupted while it waits for a request, whose connection it closes"""
        p, port = self.serve("allow_interruption.py")
        with socket.create_connection(("127.0.0.1", port)) as s:
            p.until_in("recvfrom")
            p.until_in("futex", main=True)
            p.send(signal.SIGINT)
            self.assertEqual(p.end(), 0, p)
            self.assertEqual(s.recv(100), b"")
        self.assertEqual(p.err, "")

    def test_killable_threads(self):
        """killable_threads.py: the session, line by line"""
        done = run(EXAMPLES / "killable_threads.py")
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, r"^(\d+) of \1 lines")

    def test_accept_loop(self):
        """accept_loop.py: serves, and Ctrl-C ends it with all its clients"""
        p, port = self.serve("accept_loop.py")
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for i, s in enumerate(clients):
            s.sendall(b"client %d" % i)
            self.assertEqual(s.recv(100), b"CLIENT %d" % i)
        p.until_in("accept4", main=True)
        p.send(signal.SIGINT)
        self.assertEqual(p.end(), 0, p)
        for s in clients:
            self.assertEqual(s.recv(100), b"")
            s.close()
        self.assertEqual(p.out.splitlines()[1:], ["all clients are gone"])
        self.assertEqual(p.err, "")

    def test_accept_loop_terminated(self):
        """accept_loop.py: SIGTERM, quietly"""
        p, port = self.serve("accept_loop.py")
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"x")
            self.assertEqual(s.recv(1), b"X")
            p.until_in("accept4", main=True)
            p.send(signal.SIGTERM)
            self.assertEqual(p.end(), -signal.SIGTERM, p)
            self.assertEqual(s.recv(1), b"")
        self.assertEqual(p.err, "")

    def test_accept_loop_failure(self):
        """accept_loop.py: the first failure of a handler wakes the blocked accept, and is raised"""
        p, port = self.serve("accept_loop.py")
        with socket.create_connection(("127.0.0.1", port)) as idle, socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"fail\n")
            self.assertEqual(p.end(), 1, p)
            self.assertEqual(idle.recv(1), b"")
        *_, error, note = p.err.splitlines()
        self.assertEqual(error, "ValueError: 127.0.0.1 asked for a failure", p.err)
        self.assertRegex(note, "^in child 'handle_client-[0-9]+' of branch 'branch'$")
        self.assertIn("in handle_client", p.err)

    def test_escalation(self):
        """escalation.py: rung by rung"""
        done = run(EXAMPLES / "escalation.py")
        self.assertEqual(done.status, 0, done)
        wanted = (
            r"^heeds: ended by ThreadExit",
            r"^saves: rung 2: saved the draft",
            r"^saves: ended by ThreadExit",
            r"^busy: rung 2: needs 0.2 s more",
            r"^busy: ended well",
            r"^deaf: rung 3: closes down",
            r"^deaf: ended by SystemExit",
            r"^all have ended",
        )
        for line in wanted:
            self.assertRegex(done.out, re.compile(line, re.M))

    def to_the_end(self, how):
        with Process(EXAMPLES / "escalation.py", how, env={"BOUGH_GRACE": "6"}) as p:  # of which the exit has 1.5 s
            p.until("^hangs")
            p.until_in("futex", main=True)
            p.send(signal.SIGTERM)
            self.assertEqual(p.end(), -signal.SIGTERM, p)
            self.assertLess(p.took, LIMIT / 2)
            self.assertGreater(p.took, 0.2)
            return p

    def test_escalation_stuck(self):
        """escalation.py stuck: the ladder ends the process, and functions that are registered for the exit run"""
        self.assertIn("the exit: removes the lock file", self.to_the_end("stuck").out)

    def test_escalation_hang(self):
        """escalation.py hang: the ladder ends the process, even if no thread can get the GIL"""
        self.to_the_end("hang")


if __name__ == "__main__":
    unittest.main()
