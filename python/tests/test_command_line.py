# SPDX-License-Identifier: MIT
"""`python -m bough`: the command, which the package contains."""
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import bough
from process import BUILD, Process, run

COMMAND = BUILD / "bough/_command/bough"


def copy_of_package(folder):
    """The package as it is in the build folder, without the command."""
    shutil.copytree(BUILD / "bough", Path(folder, "bough"), ignore=shutil.ignore_patterns("_command", "*.p", "__pycache__"))
    return Path(folder, "bough/_command/bough")


class Command(unittest.TestCase):
    def test_version(self):
        self.assertEqual(run("-m", "bough", "--version").out, f"bough {bough.library_version()}\n")

    def test_help(self):
        """without arguments it is on standard error, with a failure status, as from the command"""
        helped, alone = run("-m", "bough", "--help"), run("-m", "bough")
        self.assertEqual((helped.status, helped.err, alone.status, alone.out), (0, "", 2, ""))
        self.assertEqual(helped.out, alone.err)
        self.assertIn("interrupt", helped.out)

    def test_of_another_process(self):
        """ps finds it, tree shows its thread, interrupt ends it"""
        program = """
import time
from bough import branch
with branch() as b:
    b.add(time.sleep, 3600, name="sleeper")
    print("ready", flush=True)
print("ended", b.failures)
"""
        with Process("-c", program) as process:
            process.until("ready")
            pid = str(process.process.pid)
            self.assertIn(pid, run("-m", "bough", "ps").out)
            self.assertIn("sleeper", run("-m", "bough", "tree", pid).out)
            self.assertIn("sleeper", run("-m", "bough", "dump", pid).out)
            asked = run("-m", "bough", "interrupt", "--wait", "20", pid, "sleeper")
            self.assertEqual(process.end(), 0, f"{asked} {process}")
            self.assertIn(asked.status, (0, 5), asked)  # 5: the process was faster than the command, and is gone

    def test_status(self):
        """is the command's"""
        self.assertIn("no ncurses", run("-m", "bough", "top", "1").err)
        self.assertEqual((run("-m", "bough", "tree", "1x").status, run("-m", "bough", "nothing").status), (2, 2))

    def test_a_pipe_without_a_reader(self):
        """ends it by SIGPIPE, which the interpreter ignores, as any command"""
        code = """
import os
from bough._command_line import main
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 1)
main(["--help"])
"""
        process = run("-c", code)
        self.assertEqual(process.status, -signal.SIGPIPE, str(process))

    def test_working_directory(self):
        """its files do not replace modules of the standard library"""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "typing.py").write_text("raise SystemExit('the wrong one')")
            code = f"import os, sys; os.chdir({folder!r}); os.execv(sys.executable, [sys.executable, '-m', 'bough', '--version'])"
            self.assertEqual(run("-c", code).out, f"bough {bough.library_version()}\n")


class RunByTheCommand(unittest.TestCase):
    """`bough run` executes the interpreter, with its arguments."""

    def test_interpreter(self):
        code = "import sys; print(sys.argv[1:], sys.flags.dev_mode, 'bough._program' in sys.modules)"
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "script")
            script.write_text(f"#!{sys.executable} -Xdev\n{code}\n")
            for before in (), (sys.executable, "-Xdev"):
                environment = {**os.environ, "PYTHONPATH": str(BUILD), "PYTHON_GIL": "1"}
                command = [COMMAND, "run", "--grace", "9", *before, script, "--grace"]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                self.assertEqual((done.stdout, done.returncode), ("['--grace'] True True\n", 0), done.stderr)


class Missing(unittest.TestCase):
    def test_there_is_none(self):
        """the package was built for an installed libbough: the message names the command to use"""
        with tempfile.TemporaryDirectory() as folder:
            copy_of_package(folder)
            done = run("-P", "-m", "bough", "ps", path=[folder])
        self.assertEqual(done.status, 1)
        self.assertRegex(done.err, r"^bough: this installation of the package has no command: there is no \S+; install the package")

    def test_it_can_not_be_executed(self):
        with tempfile.TemporaryDirectory() as folder:
            command = copy_of_package(folder)
            command.parent.mkdir()
            shutil.copyfile(COMMAND, command)
            command.chmod(stat.S_IRUSR)
            done = run("-P", "-m", "bough", "ps", path=[folder])
        self.assertEqual(done.status, 1)
        self.assertRegex(done.err, r"^bough: cannot execute \S+: Permission denied$")


if __name__ == "__main__":
    unittest.main()
