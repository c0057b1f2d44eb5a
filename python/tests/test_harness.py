# SPDX-License-Identifier: MIT
"""The runner of the tests detects failures and leftovers."""
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from process import AS_RELEASED, run

RUNNER = Path(__file__).with_name("run.py")
# so that the waits for leaks are shorter
ENVIRONMENT = {**os.environ, "T_SCALE": str(0.2 * float(os.environ.get("T_SCALE", 1)))}
BEGIN = """
import os, signal, subprocess, threading, time, unittest
class Sample(unittest.TestCase):
"""


class Harness(unittest.TestCase):
    def sample(self, body, env=ENVIRONMENT):
        """Runs a file with one class that has this body. Returns the exit status and the output."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "sample.py")
            path.write_text(BEGIN + "".join(f"    {line}\n" for line in body))
            run = subprocess.run([sys.executable, RUNNER, path], env=env, capture_output=True, text=True, timeout=60)
        return run.returncode, run.stdout, run.stderr

    def fails(self, statement, *words):
        status, output, _ = self.sample([f"def test_it(self): {statement}"])
        self.assertEqual(status, 1, output)
        self.assertIn("1..1\nnot ok 1 - Sample.test_it\n", output)
        for word in words:
            self.assertIn(word, output)

    def passes(self, *body):
        status, output, _ = self.sample(body, os.environ)  # without leftovers there is no wait
        self.assertEqual(status, 0, output)
        self.assertIn("1..1\nok 1 - Sample.test_it", output)
        return output

    def test_pass(self):
        self.passes("def test_it(self): pass")

    def test_skip(self):
        self.assertIn("# SKIP no time", self.passes("@unittest.skip('no time')", "def test_it(self): pass"))

    def test_failure(self):
        self.fails("self.assertEqual(1, 2)", "# AssertionError: 1 != 2")

    def test_subtest(self):
        status, output, _ = self.sample(
            ["def test_it(self):", "    for n in (1, 2):", "        with self.subTest(n=n): self.assertEqual(n, 1)"]
        )
        self.assertEqual(status, 1)
        self.assertIn("1..1\nnot ok 1 - Sample.test_it\n", output)
        self.assertIn("(n=2)", output)

    def test_thread(self):
        self.fails("threading.Thread(target=time.sleep, args=(9,), daemon=True, name='lost').start()", "left behind", "lost")

    def test_thread_that_ends_by_itself(self):
        self.passes("def test_it(self): threading.Thread(target=time.sleep, args=(0.05,)).start()")

    def test_descriptor(self):
        self.fails("os.open('/dev/null', os.O_RDONLY)", "left behind: descriptor", "/dev/null")

    def test_descriptor_that_stays(self):
        self.passes("stays = ('/dev/null',)", "def test_it(self): os.open('/dev/null', os.O_RDONLY)")

    def test_closed_descriptor(self):
        self.fails("os.close(0)", "closed: descriptor 0")

    def test_child_process(self):
        self.fails("os.posix_spawn('/bin/true', ['true'], {})", "left behind: child process")

    def test_signal_mask(self):
        self.fails("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])", "blocked signal")

    def test_ignored_signals(self):
        """under nohup, and in the background of a shell, a test and its processes have the usual signals"""
        ignored = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
        statement = "self.assertNotIn(signal.SIG_IGN, map(signal.getsignal, (1, 2, 3, 15)))"
        before = [signal.signal(signo, signal.SIG_IGN) for signo in ignored]
        try:
            self.passes(f"def test_it(self): {statement}")
        finally:
            for signo, handler in zip(ignored, before):
                signal.signal(signo, handler)

    def test_time_limit(self):
        for limit in 1, 10, 100:  # it may not have begun by then
            status, output, errors = self.sample([f"limit = {limit}", "def test_it(self): threading.Event().wait()"])
            self.assertEqual((status, output), (1, "1..1\n"))
            if "in test_it" in errors:
                break
        self.assertIn("Timeout", errors)
        self.assertIn("in test_it", errors)

    def test_crash(self):
        status, output, errors = self.sample(["def test_it(self): os.kill(os.getpid(), signal.SIGSEGV)"])
        self.assertEqual((status, output), (-11, "1..1\n"))
        self.assertIn("in test_it", errors)

    def test_class_that_cannot_begin(self):
        status, output, _ = self.sample(["@classmethod", "def setUpClass(cls): raise OSError('no')", "def test_it(self): pass"])
        self.assertEqual(status, 1)
        self.assertIn("not ok 1 - setUpClass", output)
        self.assertIn("# OSError: no", output)

    def test_no_tests(self):
        self.assertEqual(self.sample(["pass"])[:2], (1, "1..0\n"))


class Processes(unittest.TestCase):
    """Processes that process.py starts."""

    def test_warnings(self):
        """that a -W disables are disabled, also where the environment makes a debug build warn like other builds"""
        process = run(
            *("-W", "ignore::DeprecationWarning"),
            *("-c", "import warnings; warnings.warn('told', DeprecationWarning)"),
            env={"PYTHONWARNINGS": AS_RELEASED},
        )
        self.assertEqual((process.status, process.err), (0, ""))
