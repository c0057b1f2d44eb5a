# SPDX-License-Identifier: MIT
"""Child processes: waits for them end, and nobody is left behind, neither running nor unreaped (the runner looks)."""
import multiprocessing
import os
import subprocess
import threading
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

import blocking
import bough
from blocking import Call

fork = multiprocessing.get_context("fork")
cases = []


def case(make):
    cases.append(make)
    return make


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
    """(pid, what ends it with 7). It is reaped by the call."""
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


@case
def waitpid():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), release, 7)


@case
def os_wait():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.wait()[1]), release, 7)


@case
def os_wait4():
    with forked() as (pid, release):
        yield Call(lambda: os.waitstatus_to_exitcode(os.wait4(pid, 0)[1]), release, 7)


@case
def waitid():
    with forked() as (pid, release):
        yield Call(lambda: os.waitid(os.P_PID, pid, os.WEXITED).si_status, release, 7)


@case
def popen_wait():
    with Child() as child:
        yield Call(lambda: child.wait(), child.stdin.close, 0)


@case
def popen_wait_with_a_timeout():
    with Child() as child:
        yield Call(lambda: child.wait(3600), child.stdin.close, 0)


@case
def communicate():
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


@case
def run():
    """the child is killed and reaped before the exception leaves (rule 22)"""
    with fifo_for("echo hello") as (command, fds, release):
        yield Call(lambda: subprocess.run(command, pass_fds=fds, capture_output=True).stdout, release, b"hello\n")


@case
def run_without_output():
    with fifo_for("exit 3") as (command, fds, release):
        yield Call(lambda: subprocess.run(command, pass_fds=fds).returncode, release, 3)


@case
def run_with_a_timeout():
    with fifo_for("exit 3") as (command, fds, release):
        yield Call(lambda: subprocess.run(command, pass_fds=fds, timeout=3600).returncode, release, 3)


@case
def check_output():
    with fifo_for("echo hello") as (command, fds, release):
        yield Call(lambda: subprocess.check_output(command, pass_fds=fds), release, b"hello\n")


@case
def call():
    with fifo_for("exit 3") as (command, fds, release):
        yield Call(lambda: subprocess.call(command, pass_fds=fds), release, 3)


# ---- multiprocessing ------------------------------------------------------------------------------------------------------


@case
def connection_recv():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.recv(), lambda: b.send("hello"), "hello")


@case
def connection_poll():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: a.poll(3600), lambda: b.send("hello"), True)


@case
def connection_wait():
    a, b = fork.Pipe()
    with a, b:
        yield Call(lambda: multiprocessing.connection.wait([a]) == [a], lambda: b.send("hello"), True)


@contextmanager
def process():
    r, w = os.pipe()
    child = fork.Process(target=os.read, args=(r, 1))
    child.start()
    try:
        yield child, lambda: os.write(w, b"x")
    finally:
        os.write(w, b"x")
        child.join()
        child.close()
        os.close(r)
        os.close(w)


@case
def process_join():
    with process() as (child, release):

        def call():
            child.join()
            return child.exitcode

        yield Call(call, release, 0)


@case
def process_join_with_a_timeout():
    with process() as (child, release):

        def call():
            child.join(3600)
            return child.exitcode

        yield Call(call, release, 0)


@case
def process_lock():
    lock = fork.Lock()
    lock.acquire()

    def call():
        with lock:
            return True

    yield Call(call, lock.release, True)


@case
def process_lock_with_a_timeout():
    lock = fork.Lock()
    lock.acquire()

    def call():
        got = lock.acquire(timeout=3600)
        lock.release()
        return got

    yield Call(call, lock.release, True)


@case
def process_semaphore():
    semaphore = fork.Semaphore(0)
    yield Call(lambda: semaphore.acquire(), semaphore.release, True)


@case
def process_queue():
    queue = fork.SimpleQueue()
    yield Call(lambda: queue.get(), lambda: queue.put("hello"), "hello")
    queue.close()


Blocking = blocking.generate(__name__, cases)
stays = ("anon_inode:*event*",)


class With(unittest.TestCase):
    """`with subprocess.Popen(...)` that is left by an interrupt: as by a Ctrl-C, it does not wait until the process has ended."""

    limit = 120

    def leave(self, work, post, reaped=False):
        """Returns (seconds from the post to the end, whether the process lives, what came out of the block)."""
        began, seen = threading.Event(), []

        def child():
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
        self.assertLess(took, 3 * blocking.SCALE)
        self.assertGreater(took, 0.2)  # which the process has, as for a Ctrl-C

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

        self.assertFalse(self.leave(work, lambda child: child.interrupt(), reaped=True)[1])

    def test_another_exception(self):
        """waits, as ever"""
        with self.assertRaises(KeyError), bough.branch(), subprocess.Popen(["sleep", "0.3"]) as process:
            raise KeyError
        self.assertEqual(process.returncode, 0)

    def test_run_and_its_like(self):
        """kill their process, and reap it"""
        for call in (subprocess.run, subprocess.call, subprocess.check_output):
            with self.subTest(call), bough.branch() as b:
                child = b.add(call, ["sleep", "3600"])
                until_forked()
                begin = time.monotonic()
                child.interrupt()
                child.join()
                self.assertLess(time.monotonic() - begin, 3 * blocking.SCALE)


def until_forked():
    """The test's process has a child process, which runs a program already."""
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
