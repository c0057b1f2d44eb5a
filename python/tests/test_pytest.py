# SPDX-License-Identifier: MIT
"""The plugin for pytest: tests that are ended, in one run of pytest (docs/pytest.md)."""
import os
import textwrap
import unittest

from pytested import ASYNCIO, BUILD, ENOUGH, FACTORS, SHORT, TIMEOUT, Run, has, needs

limit = 240

TESTS = """
    short = pytest.mark.bough_timeout(SHORT)
    ended = []

    @pytest.fixture
    def resource():
        yield
        ended.append("resource")

    @pytest.fixture(scope="module")
    def server():
        with bough.branch("server") as b:
            yield b.add(time.sleep, 1000)
            b.interrupt()

    @short
    def test_sleep(resource):
        print("what it has printed")
        time.sleep(1000)

    def test_fixture_has_ended():
        assert ended == ["resource"]

    @short
    def test_event():
        threading.Event().wait()

    def test_threads():
        assert [t.name for t in threading.enumerate()] == ["MainThread"]

    @short
    def test_queue():
        queue.Queue().get()

    @short
    def test_socket():
        a, b = socket.socketpair()
        with a, b:
            a.recv(1)

    @short
    def test_process():
        subprocess.run(["sleep", "1000"])

    @short
    def test_bytecode():
        n = 0
        while True:
            n += 1

    @short
    def test_regex():
        re.match("(a+)+b", "a" * 50)

    @short
    @pytest.mark.parametrize("library", [ctypes.CDLL, ctypes.PyDLL])
    def test_ctypes(library):
        assert library(None).pause() == -1

    @short
    def test_end_of_branch():
        with bough.branch("one") as b:
            b.add(time.sleep, 1000)

    @short
    def test_server(server):
        time.sleep(1000)

    def test_server_runs(server):
        assert server.is_alive()

    @short
    def test_swallows():
        try:
            time.sleep(1000)
        except BaseException:
            ended.append("swallowed")

    def test_has_swallowed():
        assert ended[1:] == ["swallowed"]

    @short
    def test_another_error():
        try:
            time.sleep(1000)
        finally:
            raise KeyError("mine")

    @pytest.fixture
    def slow_setup(resource):
        time.sleep(1000)

    @short
    def test_setup(slow_setup):
        pass

    @pytest.fixture
    def slow_teardown(resource):
        yield
        time.sleep(1000)

    @short
    def test_teardown(slow_teardown):
        pass

    def test_fixtures_have_ended():
        assert ended[2:] == ["resource"] * 2

    @short
    @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.bough_timeout(0))])
    def test_parameter(n):
        time.sleep(2 * SHORT)

    @short
    class TestClass:
        def test_of_class(self):
            time.sleep(1000)

        @pytest.mark.bough_timeout(ENOUGH)
        def test_nearest(self):
            time.sleep(2 * SHORT)

    class TestCase(unittest.TestCase):
        def tearDown(self):
            time.sleep(0.01)
            ended.append("tearDown")

        @short
        def test_case(self):
            self.addCleanup(ended.append, "cleanup")
            time.sleep(1000)

        def test_case_has_ended(self):
            assert ended[4:] == ["tearDown", "cleanup"]

    def forked(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    @short
    def test_fork():
        if (pid := os.fork()) == 0:
            time.sleep(2 * SHORT)
            os._exit(7)
        try:
            forked(pid)
        finally:
            print("the child", forked(pid))

    """

MISTAKES = {
    "bough_timeout": "needs a number of seconds: write @pytest.mark.bough_timeout(5)",
    "bough_timeout()": "needs a number of seconds: write @pytest.mark.bough_timeout(5)",
    "bough_timeout(-1)": "must be a number of seconds, 0 (no limit) or more, got -1",
    "bough_timeout(float('nan'))": "must be a number of seconds, 0 (no limit) or more, got nan",
    "bough_timeout('soon')": "must be a number of seconds, 0 (no limit) or more, got 'soon'",
    "bough_timeout('5')": "got '5'. Write the number without quotes",
    "bough_timeout(None)": "must be a number of seconds, 0 (no limit) or more, got None",
    "bough_timeout(True)": "must be a number of seconds, 0 (no limit) or more, got True",
    "bough_timeout(datetime.timedelta(seconds=1))": "Convert it with total_seconds()",
    "bough_timeout(1, 2)": "takes one number of seconds, got 2 arguments: write @pytest.mark.bough_timeout(5)",
    "bough_timeout(1, method='thread')": "takes seconds and func_only=, got method=: remove it",
    "bough_timeout(1, func_only='yes')": "func_only of the marker bough_timeout must be True or False, got 'yes'",
    "bough_timeout(1)\n@pytest.mark.bough_timeout(2)": "a test has one marker bough_timeout, and this one has 2 (2 and 1): remove the others",
}

# The last line of each traceback
STUCK_AT = {
    "test_sleep": "time.sleep(1000)",
    "test_event": "self._cond.wait(timeout)",
    "test_queue": "self.not_empty.wait()",
    "test_socket": "a.recv(1)",
    "test_process": "os.waitpid(self.pid, wait_flags)",
    "test_bytecode": "",  # one line of two
    "test_regex": "match(string)",  # from 3.15 on of prefixmatch()
    "test_ctypes[CDLL]": ".pause() == -1",
    "test_ctypes[PyDLL]": ".pause() == -1",
    "test_end_of_branch": 'with bough.branch("one") as b:',
    "test_server": "time.sleep(1000)",
    "test_swallows": "time.sleep(1000)",
    "test_setup": "time.sleep(1000)",
    "test_teardown": "time.sleep(1000)",
    "test_parameter[1]": "time.sleep(2 * SHORT)",
    "test_of_class": "time.sleep(1000)",
    "test_case": "time.sleep(1000)",
    "test_fork": "os.waitpid(pid, 0)[1])",
}
AWAITING = "test_waits", "test_run", "test_isolated", "test_others"  # tests that wait in an event loop
PASSED = {
    "test_fixture_has_ended", "test_server_runs", "test_has_swallowed", "test_fixtures_have_ended", "test_parameter[2]", "test_nearest",
    "test_case_has_ended", "test_threads", "test_last",
}  # fmt: skip


@needs("pytest")
class Limits(unittest.TestCase):
    """Tests that are ended, in one run."""

    @classmethod
    def setUpClass(cls):
        parts, plugins, ini = [TESTS], [], ""
        if has("pytest_asyncio"):
            parts, plugins = [*parts, ASYNCIO], ["pytest_asyncio.plugin"]
        if has("pytest_timeout"):
            parts, plugins, ini = [*parts, TIMEOUT], [*plugins, "pytest_timeout"], f"timeout = {ENOUGH:g}"
        text = "".join(map(textwrap.dedent, parts))
        for i, mark in enumerate(MISTAKES):
            text += f"@pytest.mark.{mark}\ndef test_{i}():\n    pass\n"
        text += "def test_last():\n    bough.check_interrupt()\n    time.sleep(0.01)\n"
        for cls.factor in FACTORS:
            cls.run_ = Run(text, f"--bough-timeout-grace={ENOUGH}", ini=ini, plugins=plugins, factor=cls.factor).end()
            ends_at = STUCK_AT | {name: "await fut" for name in AWAITING if name in cls.run_.cases}
            if all(cls.run_.last_line(name).endswith(line) for name, line in ends_at.items()):
                break

    def test_status(self):
        self.assertEqual(self.run_.status, 1, str(self.run_))

    def test_next_tests_run(self):
        """after a test that was ended, its fixtures end, and the next test runs"""
        for name in PASSED:
            with self.subTest(name):
                self.assertEqual(self.run_.outcome(name)[0], "passed", str(self.run_))

    def test_stuck(self):
        """a test fails where it is, with that line as the last one of its traceback, and without frames of bough"""
        for name, line in STUCK_AT.items():
            with self.subTest(name):
                kind, message, text = self.run_.outcome(name)
                phase = name.removeprefix("test_") if name in ("test_setup", "test_teardown") else ""
                what = f"the {phase} of the test" if phase else "the test"
                self.assertEqual(kind, "error" if phase else "failure", str(self.run_))
                self.assertIn(f"Timeout: {what} took longer than {SHORT * self.factor:g} s (the marker bough_timeout)", message)
                self.assertTrue(self.run_.last_line(name).endswith(line), text)
                self.assertNotIn(os.fspath(BUILD), text)

    def test_an_error_of_its_own(self):
        """is what the test fails by"""
        kind, message, _ = self.run_.outcome("test_another_error")
        self.assertEqual((kind, message), ("failure", "KeyError: 'mine'"), str(self.run_))

    def test_sections(self):
        """the report has the tree of threads, with the children of branches, and the output of the test"""
        out = self.run_.out
        self.assertRegex(out, r"Captured tree of threads call -+\nroot\n  thread MainThread \(\d+\)")
        self.assertRegex(out, r"branch one at .*test_it.py:\d+, 1 running\n +thread sleep-1 ")
        self.assertIn("what it has printed", out)
        self.assertIn("the child 7", out)
        self.assertNotIn("it writes this", out)

    @needs("pytest_asyncio")
    def test_asyncio(self):
        """a test that awaits is cancelled: it cleans up, and its traceback ends where it waits"""
        for name in AWAITING:
            with self.subTest(name):
                kind, message, text = self.run_.outcome(name)
                self.assertEqual(kind, "failure", str(self.run_))
                self.assertIn("Timeout: the test took longer than", message)
                self.assertEqual(self.run_.last_line(name), "await fut", text)
        self.assertIn("while True", self.run_.outcome("test_computes")[2])
        self.assertRegex(self.run_.out, r"Captured other tasks call -+\nanother:\n")
        self.assertEqual(self.run_.outcome("test_all")[0], "passed", str(self.run_))

    @needs("pytest_timeout")
    def test_beside_pytest_timeout(self):
        """the first limit that is exceeded counts"""
        kind, message, _ = self.run_.outcome("test_of_the_other")
        self.assertEqual(kind, "failure", str(self.run_))
        self.assertRegex(message, r"Timeout \(?>")
        self.assertEqual(self.run_.outcome("test_after_the_other")[0], "passed")

    def test_mistakes(self):
        """each message names what was wrong, and what to do"""
        for i, (mark, message) in enumerate(MISTAKES.items()):
            with self.subTest(mark):
                self.assertEqual(self.run_.outcome(f"test_{i}")[0], "error", str(self.run_))
                self.assertIn(message, self.run_.outcome(f"test_{i}")[2])
