# SPDX-License-Identifier: MIT
"""The plugin for pytest: tests that nothing can end, and settings, each in a run of pytest (docs/pytest.md)."""
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from pytested import FACTORS, GRACE, SHORT, Run, environment, has, needs, where

limit = 240

# A thread with a stack of this size can't be started.
UNWATCHED = """
    threading.stack_size(1 << 47)

    @pytest.mark.bough_timeout(ENOUGH)
    def test_has_no_watcher():
        pass

    def test_gives_room():
        threading.stack_size(0)

    @pytest.mark.bough_timeout(SHORT)
    def test_after():
        time.sleep(20)
    """


@needs("pytest")
class Unwatched(unittest.TestCase):
    """fixed bug: if no thread could be started for one limit, no later limit was watched"""

    def test_next_limit_is_watched(self):
        run = Run(UNWATCHED).end()
        self.assertEqual(run.outcome("test_has_no_watcher")[0], "error", str(run))
        self.assertIn("can't start new thread", run.outcome("test_has_no_watcher")[2])
        self.assertEqual(run.outcome("test_after")[0], "failure", str(run))
        self.assertIn("Timeout", run.outcome("test_after")[1])


STUCK = """
    def test_before():
        assert 0, "before"

    @pytest.mark.bough_timeout(SHORT)
    def test_stuck():
        print("what it has printed")
        lock = (ctypes.PyDLL if os.environ["KEEPS"] else ctypes.CDLL)(None).pthread_mutex_lock
        mutex = ctypes.create_string_buffer(64)
        while True:
            lock(mutex)

    def test_after():
        pass
    """

IT_WAS = "it was Timeout: the test took longer than"
SWALLOWS = """
    pytestmark = pytest.mark.bough_timeout(SHORT)

    def swallows(times):
        for _ in range(times):
            try:
                time.sleep(1000)
            except BaseException as error:
                print("it was", error)

    def test_twice():
        swallows(2)

    def test_each_time():
        swallows(1000)
    """


@needs("pytest")
class Stuck(unittest.TestCase):
    """A test that can't be ended ends the run."""

    @classmethod
    def setUpClass(cls):
        cls.runs = {"in C": cls.stuck(), "with the GIL": cls.stuck(keeps="1")}
        if has("xdist"):
            cls.runs["xdist"] = cls.stuck("-n2", plugins=["xdist.plugin"])
        for cls.factor in FACTORS:
            cls.runs["swallows"] = Run(SWALLOWS, f"--bough-timeout-grace={GRACE * cls.factor}", factor=cls.factor).end()
            if cls.runs["swallows"].out.count(IT_WAS) == 2 + 5:
                break

    @staticmethod
    def stuck(*options, keeps="", **more):
        for factor in FACTORS:
            run = Run(STUCK, f"--bough-timeout-grace={GRACE}", *options, env={"KEEPS": keeps}, factor=factor, **more).end()
            if "is stuck" in run.err:
                break
        return run

    def check_log(self, run, why, line):
        self.assertIn(f"++++ bough: test_it.py::test_stuck (call) {why}. ++++\n", run.err)
        self.assertIn(f"did not end in {GRACE:g} s after that: the run ends with status 70.", run.err)
        self.assertRegex(run.err, line)
        self.assertIn("\nroot\n  thread", run.err)

    def test_in_c_code(self):
        """a test in C code that nothing interrupts ends the run: with a dump, its output and the reports of the tests before it"""
        run = self.runs["in C"]
        self.assertEqual(run.status, 70, str(run))
        self.check_log(run, "is stuck where no exception can be raised, in C code for instance", r'test_it.py", line \d+ in test_stuck')
        self.assertEqual(run.outcome("test_before")[0], "failure")
        kind, _, text = run.outcome("test_stuck")
        self.assertEqual(kind, "failure")
        self.assertIn("the run ends with status 70", text)
        self.assertIn("2 failed", run.out)
        self.assertIn("what it has printed", run.out)
        self.assertNotIn("test_after", run.cases)

    def test_keeps_the_gil(self):
        """if no Python code can run, the same is printed, without the summary"""
        run = self.runs["with the GIL"]
        self.assertEqual(run.status, 70, str(run))
        self.check_log(run, "is stuck in C code that keeps the GIL", r'test_it.py", line \d+, in test_stuck')
        self.assertIn("---- captured stdout ----\nwhat it has printed\n", run.err)

    def test_swallows(self):
        """a test that swallows the exception of its limit gets it again, and finally ends the run"""
        run = self.runs["swallows"]
        self.assertEqual(run.status, 70, str(run))
        kind, message, text = run.outcome("test_twice")
        self.assertEqual((kind, run.last_line("test_twice")), ("failure", "time.sleep(1000)"), str(run))
        self.assertIn("Timeout: the test took longer than", message)
        self.assertIn("has swallowed the exception of its limit 5 times", run.err)
        self.assertEqual(run.out.count(IT_WAS), 2 + 5, str(run))

    @needs("xdist")
    def test_beside_xdist(self):
        """a test that nothing ends ends its worker, and the other tests run"""
        run = self.runs["xdist"]
        self.assertEqual(run.status, 1, str(run))
        self.assertRegex(run.out, "worker 'gw.' crashed while running 'test_it.py::test_stuck'")
        self.assertEqual(run.outcome("test_after")[0], "passed")
        self.check_log(run, "is stuck where no exception can be raised, in C code for instance", r'test_it.py", line \d+ in test_stuck')


OPTIONS = {
    "--bough-timeout=-1": "argument --bough-timeout: it must be a number of seconds, such as 5 or 0.5, or 0 for no limit, got '-1'",
    "--bough-timeout=nan": "argument --bough-timeout: it must be a number of seconds, such as 5 or 0.5, or 0 for no limit, got 'nan'",
    "--bough-timeout=1m": "argument --bough-timeout: it must be a number of seconds, such as 5 or 0.5, or 0 for no limit, got '1m'",
    "--bough-timeout-grace=0": "argument --bough-timeout-grace: it must be a number of seconds, such as 5 or 0.5, got '0'",
    "-obough_timeout=1m": "the ini setting bough_timeout must be a number of seconds, such as 5 or 0.5, or 0 for no limit, got '1m'",
    "-obough_timeout_grace=-1": "the ini setting bough_timeout_grace must be a number of seconds, such as 5 or 0.5, got '-1'",
    "-obough_timeout_func_only=x": "the ini setting bough_timeout_func_only must be true or false: invalid truth value 'x'",
    "-obough_timeout=9": "bough: each test has 9 s, by the ini setting bough_timeout\n",
    "--bough-timeout=7 -obough_timeout=9": "bough: each test has 7 s, by --bough-timeout\n",
}

PROGRAM = """
    import sys
    import pytest

    always = ["-p", "pytest_bough", "-p", "no:cacheprovider"]
    print(int(pytest.main(always)), [name for name in sys.modules if name.partition(".")[0] == "bough"], "####")
    for option in OPTIONS:
        print(int(pytest.main([*always, *option.split()])), "####")
    """


@needs("pytest")
class Settings(unittest.TestCase):
    TESTS = """
        @pytest.fixture
        def slow():
            time.sleep(2 * SHORT)

        def test_setting():
            time.sleep(1000)

        def test_func_only(slow):
            pass

        @pytest.mark.bough_timeout(SHORT, func_only=False)
        def test_setup(slow):
            pass

        @pytest.mark.bough_timeout(0)
        def test_marker():
            time.sleep(2 * SHORT)

        def test_debugged():
            breakpoint()
            time.sleep(2 * SHORT)
        """
    OUTCOMES = {
        "test_setting": "failure", "test_func_only": "passed", "test_setup": "error", "test_marker": "passed", "test_debugged": "passed",
    }  # fmt: skip

    def test_setting(self):
        """the setting counts for tests without a marker; func_only; a test under a debugger has no limit"""
        for factor in FACTORS:
            ini = f"bough_timeout = {SHORT * factor:g}\nbough_timeout_func_only = true"
            run = Run(self.TESTS, ini=ini, stdin=subprocess.PIPE, factor=factor).end("c\n")
            outcomes = {name: run.outcome(name)[0] for name in run.cases}
            if outcomes == self.OUTCOMES:
                break
        self.assertEqual(outcomes, self.OUTCOMES, str(run))
        self.assertIn("(the ini setting bough_timeout)", run.outcome("test_setting")[1])
        self.assertIn(f"bough: each test has {SHORT * factor:g} s, by the ini setting bough_timeout (the test itself only)", run.out)

    def test_options(self):
        """a run without limits does not import bough; an option or a setting that makes no sense ends the run before its first test; an
        option counts before the setting"""
        program = f"OPTIONS = {[*OPTIONS]!r}\n{textwrap.dedent(PROGRAM)}"
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_it.py").write_text("def test(): pass")
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            run = subprocess.run([sys.executable, "-uc", program], cwd=folder, env=environment(*where()), **streams)
        unused, *parts, _ = run.stdout.split("####\n")
        self.assertIn("1 passed", unused)
        self.assertEqual(unused.split("\n")[-1], "0 [] ", run.stdout)
        self.assertEqual(len(parts), len(OPTIONS), run.stdout)
        for (option, message), part in zip(OPTIONS.items(), parts):
            with self.subTest(option):
                self.assertIn(message, part)
                self.assertEqual(part.split()[-1], "0" if "each test has" in message else "4")


if __name__ == "__main__":
    unittest.main()
