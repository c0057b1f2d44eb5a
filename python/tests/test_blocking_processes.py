# SPDX-License-Identifier: MIT
"""Child processes: waits for them end, and no process is left behind, neither running nor unreaped (the runner checks)."""
import os
import subprocess
import threading
import time
import unittest
import webbrowser
from contextlib import contextmanager, suppress
from pathlib import Path

import blocking
import bough
from blocking import Call
from channels import fifo, fill

GOES_ON = "the process goes on, not waited for"
cases = blocking.Cases(__name__)
case = cases.case


class Child:
    """Runs until its standard input ends."""

    def __init__(self):
        self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self.process

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def forked():
    """Yields the pid, and a function that makes the process exit with 7. The call reaps the process."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(w)
        os.read(r, 1)
        os._exit(7)
    os.close(r)
    try:
        yield pid, lambda: os.write(w, b"x")
    finally:
        os.close(w)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass


@case("os.waitpid()", "a child process")
def _():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), release, 7)


@case("os.wait()", "a child process")
def _():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.wait()[1]), release, 7)


@case("os.wait4()", "a child process")
def _():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.wait4(pid, 0)[1]), release, 7)


@case("os.waitid()", "a child process")
def _():
    with forked() as (pid, release):
        yield Call(lambda: os.waitid(os.P_PID, pid, os.WEXITED).si_status, release, 7)


@case("subprocess.Popen.wait()", "the process")
def _():
    with Child() as child:
        yield Call(lambda: child.wait(), child.stdin.close, 0)


@case("subprocess.Popen.wait()", "the process, with a timeout")
def _():
    with Child() as child:
        yield Call(lambda: child.wait(3600), child.stdin.close, 0)


@case("subprocess.Popen.communicate()", "the process")
def _():
    with subprocess.Popen(["sh", "-c", "read line; echo hello"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        os.set_inheritable(child.stdin.fileno(), False)
        stdin, child.stdin = child.stdin, None
        with stdin:
            yield Call(lambda: child.communicate()[0], lambda: os.write(stdin.fileno(), b"\n"), b"hello\n")


@contextmanager
def fifo_for(command):
    """A command that runs until `release`. The pipe is inherited."""
    r, w = os.pipe()
    os.set_inheritable(r, True)
    try:
        yield ["sh", "-c", f"read line <&{r}; {command}"], (r,), lambda: os.write(w, b"\n" * 10)
    finally:
        os.close(r)
        os.close(w)


@case("subprocess.run()", "the process, with its output")
def _():
    """the child is killed and reaped before the exception leaves (rule 22)"""
    with fifo_for("echo hello") as (command, fds, release):
        yield Call(lambda: subprocess.run(command, pass_fds=fds, capture_output=True).stdout, release, b"hello\n")


@case("subprocess.run()", "the process")
def _():
    with fifo_for("exit 3") as (command, fds, release):
        yield Call(lambda: subprocess.run(command, pass_fds=fds).returncode, release, 3)


@case("subprocess.run()", "the process, with a timeout")
def _():
    with fifo_for("exit 3") as (command, fds, release):
        yield Call(lambda: subprocess.run(command, pass_fds=fds, timeout=3600).returncode, release, 3)


@case("subprocess.check_output()", "the process")
def _():
    with fifo_for("echo hello") as (command, fds, release):
        yield Call(lambda: subprocess.check_output(command, pass_fds=fds), release, b"hello\n")


@case("subprocess.call()", "the process")
def _():
    with fifo_for("exit 3") as (command, fds, release):
        yield Call(lambda: subprocess.call(command, pass_fds=fds), release, 3)


@case("os.wait3()", "a child process")
def _():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.wait3(0)[1]), release, 7)


@case("os.waitid()", "a child process, by P_PIDFD")
def _():
    with forked() as (pid, release):
        fd = os.pidfd_open(pid)
        yield Call(lambda: os.waitid(os.P_PIDFD, fd, os.WEXITED).si_status, release, 7)
        os.close(fd)


@contextmanager
def shell_command(command):
    """The same for a shell that subprocess does not start: it reads a FIFO, by its name."""
    with fifo() as (name, write):
        yield f"read line < {name}; {command}", lambda: write(b"\n")


@case("os.system()", "its process")
def _():
    with shell_command("exit 3") as (command, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.system(command)), release, 3)


@case("os.popen().read()", "its process")
def _():
    with shell_command("echo hello") as (command, release), os.popen(command) as file:
        yield Call(lambda: file.read(), release, "hello\n")


def reap(release):
    """Ends and reaps a process that outlives the interrupted call."""
    with suppress(ChildProcessError):
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            release()
        os.wait()


@case("os.spawnv()", "its process")
def _():
    with shell_command("exit 3") as (command, release):
        arguments = "/bin/sh", ["sh", "-c", command]
        yield Call(lambda: os.spawnv(os.P_WAIT, *arguments), release, 3, again=False, state=GOES_ON)
        reap(release)


@case("webbrowser.GenericBrowser.open()", "its process")
def _():
    with shell_command("exit 0") as (command, release):
        browser = webbrowser.GenericBrowser(["sh", "-c", command])
        yield Call(lambda: browser.open("x"), release, True, again=False, state=GOES_ON)
        reap(release)


@case("os.popen().close()", "its process")
def _():
    """closing it waits for the process; a second close() does nothing"""
    with shell_command("exit 3") as (command, release):
        file = os.popen(command)
        yield Call(file.close, release, again=False, state="closed; the process goes on")
        with suppress(OSError):
            release_if_open(file, release)
        file._proc.wait()


def release_if_open(file, release):
    if file._proc.poll() is None:
        release()


@case("subprocess.Popen()", "its preexec_fn")
def _():
    """Popen() is not interrupted until the process has started or failed to start"""
    r, w = os.pipe()

    def call():
        process = subprocess.Popen(["true"], preexec_fn=lambda: os.read(r, 1), close_fds=False)
        try:
            process.wait()
        except BaseException:
            process.wait()
            raise

    yield Call(call, lambda: os.write(w, b"x"))
    os.close(r)
    os.close(w)


@contextmanager
def command_with_pipes(command):
    """A process that ends when the second pipe has a line."""
    with fifo_for(command) as (arguments, fds, release):
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=fds) as process:
            yield process, release
            release()


@case("subprocess.Popen.communicate()", "the process, with a timeout")
def _():
    with command_with_pipes("echo hello") as (process, release):
        yield Call(lambda: process.communicate(timeout=3600)[0], release, b"hello\n")


@case("subprocess.Popen.communicate(input)", "a full pipe")
def _():
    """a second call does not write the rest"""
    with command_with_pipes("wc -c") as (process, release):
        data = b"." * 200_000
        yield Call(lambda: process.communicate(data)[0], release, b"200000\n", again=False, state="its input is cut short")


@case("subprocess.Popen.stdout.read()", "the process")
def _():
    with command_with_pipes("echo hello") as (process, release):
        yield Call(lambda: process.stdout.read(), release, b"hello\n")


@case("subprocess.Popen.stdin.write()", "a full pipe")
def _():
    with command_with_pipes("cat > /dev/null") as (process, release):
        fill(process.stdin.fileno())
        yield Call(lambda: (process.stdin.write(b"x"), process.stdin.flush())[1], release)


@case("subprocess.Popen.__exit__()", "the process")
def _():
    with fifo_for("exit 3") as (command, fds, release):
        process = subprocess.Popen(command, pass_fds=fds)

        def call():
            with process:
                pass
            return process.returncode

        yield Call(call, release, 3)
        release()
        process.wait()


@case("subprocess.check_call()", "the process")
def _():
    with fifo_for("exit 0") as (command, fds, release):
        yield Call(lambda: subprocess.check_call(command, pass_fds=fds), release, 0)


@case("subprocess.getoutput()", "the process")
def _():
    with shell_command("echo hello") as (command, release):
        yield Call(lambda: subprocess.getoutput(command), release, "hello")


@case("subprocess.getstatusoutput()", "the process")
def _():
    with shell_command("echo hello; exit 3") as (command, release):
        yield Call(lambda: subprocess.getstatusoutput(command), release, (3, "hello"))


Blocking = blocking.generate(cases)
stays = ("anon_inode:*event*",)


class With(unittest.TestCase):
    """An interrupt ends a `with subprocess.Popen(...)` block. As after a Ctrl-C, the block does not wait for the
    process."""

    limit = 120

    def leave(self, work, post, reaped=False):
        """Returns (seconds from the post to the end, whether the process lives, the exception that left the block)."""
        began, seen = threading.Event(), []

        def child():
            bough._bough.set_grace(3600)  # after which a wait for the process would end, too
            try:
                with subprocess.Popen(["sleep", "3600"], stdout=subprocess.PIPE) as process:
                    seen.append(process)
                    began.set()
                    work(process)
            except BaseException as error:
                seen.append(error)
                raise

        with bough.branch() as b:
            child = b.add(child)
            began.wait()
            begin = time.monotonic()
            post(child)
            child.join()
            took = time.monotonic() - begin
        process, error = seen
        if reaped:
            self.assertEqual(process.returncode, -9)
        lives = process.poll() is None
        process.kill()
        process.wait()
        return took, lives, error

    def left_by(self, work, post, kind=bough.ThreadExit):
        took, lives, error = self.leave(work, post)
        self.assertIsInstance(error, kind)
        self.assertTrue(lives)
        self.assertGreater(took, 0.2)  # the time that the process has to end, as after a Ctrl-C

    def test_reading(self):
        self.left_by(lambda process: process.stdout.read(), lambda child: child.interrupt())

    def test_waiting(self):
        self.left_by(lambda process: process.wait(), lambda child: child.interrupt())

    def test_communicating(self):
        self.left_by(lambda process: process.communicate(), lambda child: child.interrupt())

    def test_at_a_point(self):
        """the block's end is the first blocking call"""

        def work(process):
            while True:
                bough.check_interrupt()

        self.left_by(work, lambda child: child.interrupt())

    def test_terminate(self):
        self.left_by(lambda process: process.wait(), lambda child: child.terminate(), SystemExit)

    def test_a_process_that_ends(self):
        """in the block's own cleanup is reaped"""
        def work(process):
            try:
                process.stdout.read()
            finally:
                process.kill()
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # the block's end waits 0.25 s at most

        self.assertFalse(self.leave(work, lambda child: child.interrupt(), reaped=True)[1])

    def test_another_exception(self):
        """waits, as without bough"""
        with self.assertRaises(KeyError), bough.branch(), subprocess.Popen(["sleep", "0.3"]) as process:
            raise KeyError
        self.assertEqual(process.returncode, 0)

    def test_run_and_its_like(self):
        """kill their process, and reap it"""
        for call in (subprocess.run, subprocess.call, subprocess.check_output):
            with self.subTest(call), bough.branch() as b:
                child = b.add(call, ["sleep", "3600"])
                until_forked()
                child.interrupt()


def until_forked():
    """Waits until the test's process has a child process that has executed its program."""
    end = time.monotonic() + blocking.ENOUGH
    while "sleep" not in [name_of(pid) for pid in children()]:
        if time.monotonic() > end:
            raise AssertionError("no child process")
        time.sleep(0.005)


def children():
    found = []
    for tasks in Path("/proc/self/task").glob("*/children"):
        try:
            found += tasks.read_text().split()
        except OSError:
            pass  # the thread has ended
    return found


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""

if __name__ == "__main__":
    unittest.main()
