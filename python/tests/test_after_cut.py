# SPDX-License-Identifier: MIT
"""Rule 22: one call of the standard library fails because of an interrupt; then its calls are not interrupted for the grace
period, so that its cleanup works. Queries report the interrupt all the time."""
import concurrent.futures
import multiprocessing
import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import blocking
import bough
from bough import _bough


def participant(function):
    """Runs `function` in a thread that has opted in. Returns the thread when it is blocked."""
    thread = bough.Thread(target=function, daemon=True)
    thread.enable_io_interrupt = True
    thread.start()
    blocking.until_blocked(thread)
    return thread


class Once(unittest.TestCase):
    setUpClass = classmethod(lambda cls: blocking.begin())

    def interrupted(self, function):
        thread = participant(function)
        thread.interrupt("enough")
        thread.join(blocking.ENOUGH)
        self.assertFalse(thread.is_alive())

    def test_cleanup_waits(self):
        """a wait in a `finally`, right after the interrupted call, takes as long as it needs"""
        seen = []

        def body():
            try:
                time.sleep(3600)
            finally:
                r, w = os.pipe()
                timer = threading.Timer(0.1, os.write, (w, b"x"))
                timer.start()
                seen.append(os.read(r, 1))
                timer.join()
                seen.append(bough.interruption_requested())
                os.close(r)
                os.close(w)

        self.interrupted(body)
        self.assertEqual(seen, [b"x", True])

    def test_check_interrupt_raises(self):
        """check_interrupt() raises each time"""
        seen = []

        def body():
            try:
                time.sleep(3600)
            except bough.ThreadExit as first:
                seen.append(first.record.reason)
            for _ in range(3):
                try:
                    bough.check_interrupt()
                except bough.ThreadExit as again:
                    seen.append(again.record.reason)
                time.sleep(0.001)

        self.interrupted(body)
        self.assertEqual(seen, ["enough"] * 4)

    def test_interrupted_again(self):
        """when the grace period is over"""
        seen = []

        def body():
            _bough.set_grace(0.3)
            for _ in range(3):
                try:
                    time.sleep(3600)
                except bough.ThreadExit:
                    seen.append(time.monotonic())

        before = time.monotonic()
        self.interrupted(body)
        self.assertEqual(len(seen), 3)
        for times, at in enumerate(seen):
            self.assertGreaterEqual(at - before, times * 0.3)

    def test_run_kills_and_waits(self):
        """subprocess.run() waits for the child that it has killed: no zombie, no descriptor (the runner looks)"""
        seen = []

        def body():
            try:
                subprocess.run(["sh", "-c", "echo $$; exec sleep 3600"], stdout=subprocess.PIPE)
            except bough.ThreadExit as exit:
                seen.append(exit.record.reason)

        self.interrupted(body)
        self.assertEqual(seen, ["enough"])

    def leave_with(self, *command, patience=0.25, **options):
        """Interrupts a `with Popen(...)` block, whose end waits for `patience` seconds instead of 0.25. Returns the
        process, and the results of the checks for its end."""
        process, looks = subprocess.Popen(command, **options), []
        process._sigint_wait_secs = patience
        original = process._try_wait
        process._try_wait = lambda flags: looks.append(original(flags)) or looks[-1]

        def body():
            with process:
                time.sleep(3600)

        self.interrupted(body)
        self.assertNotIn("_wait", vars(process))
        return process, looks

    def test_with_popen_waits_for_the_end(self):
        """when its pipes are closed; by an event, not by polling"""
        end = "cat; for _ in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done"
        process, looks = self.leave_with("sh", "-c", end, stdin=subprocess.PIPE, patience=blocking.ENOUGH)
        self.assertEqual((process.returncode, [pid for pid, _ in looks]), (0, [process.pid]))

    def test_with_popen_waits_a_while(self):
        """as after a Ctrl-C: not indefinitely"""
        process, looks = self.leave_with("sleep", "3600")
        try:
            self.assertEqual((process.returncode, process._sigint_wait_secs), (None, 0))
            self.assertIn([pid for pid, _ in looks], ([0], []))  # CPython 3.15 waits for an event instead
        finally:
            process.kill()
            process.wait()

    def test_with_statements_close(self):
        seen = []

        def body():
            a, b = socket.socketpair()
            with tempfile.TemporaryDirectory() as folder, a, b, a.makefile("rb") as file:
                seen.append(folder)
                file.readline()

        self.interrupted(body)
        self.assertFalse(os.path.exists(seen[0]))

    def test_reacquired(self):
        """wait() holds the condition's lock again when it raises, however long that takes"""
        condition, owned = threading.Condition(threading.Lock()), []

        def body():
            with condition:
                try:
                    condition.wait()
                finally:
                    owned.append(condition._is_owned())

        thread = participant(body)
        with condition:
            thread.interrupt()
            blocking.until_blocked(thread)
        thread.join(blocking.ENOUGH)
        self.assertEqual((owned, condition._is_owned()), ([True], False))

    def test_reacquired_by_processes(self):
        """as above, a condition of multiprocessing"""
        condition, owned = multiprocessing.Condition(), []

        def body():
            with condition:
                try:
                    condition.wait()
                finally:
                    owned.append(condition._lock._semlock._is_mine())

        thread = participant(body)
        with condition:
            condition.notify()
            blocking.until_blocked(thread)
            thread.interrupt()
            blocking.until_blocked(thread)
        thread.join(blocking.ENOUGH)
        self.assertEqual(owned, [True])

    def test_locks_of_futures(self):
        """concurrent.futures.wait(), which takes the locks of all futures, keeps none"""
        first, second = sorted((concurrent.futures.Future(), concurrent.futures.Future()), key=id)
        with second._condition:
            thread = participant(lambda: concurrent.futures.wait([first, second]))
            thread.interrupt()
            blocking.until_blocked(thread)
        thread.join(blocking.ENOUGH)
        self.assertFalse(thread.is_alive())
        for future in first, second:
            self.assertTrue(future._condition.acquire(blocking=False))
            future._condition.release()

    def test_release_is_no_point(self):
        """Semaphore.release() and similar methods take a lock for a moment, and are not interrupted at it"""
        semaphore, event, seen = threading.Semaphore(0), threading.Event(), []

        def body():
            try:
                semaphore.release()
                event.set()
                seen.append("done")
            except bough.ThreadExit:
                seen.append("cut")

        with semaphore._cond, event._cond:
            thread = participant(body)
            thread.interrupt()
        thread.join(blocking.ENOUGH)
        self.assertEqual((seen, semaphore._value, event.is_set()), (["done"], 1, True))


class Swallowed(unittest.TestCase):
    """Errors after C code has swallowed an interrupt's error."""

    setUpClass = classmethod(lambda cls: blocking.begin())

    def test_later_error_stays(self):
        """an OSError that comes later stays an OSError"""
        seen = []
        a, b = socket.socketpair()

        def body():
            with a:
                # hasattr(), which C code may use, does not swallow the interrupt's exceptions: so the test sets the
                # state after an interrupted call itself
                _bough.pretend_cut()
                try:
                    os.stat("/nowhere/at/all")
                except OSError as error:
                    seen.append(type(error))
                try:
                    a.recv(1)
                except bough.ThreadExit:
                    seen.append("told")

        with b:
            thread = bough.Thread(target=body)
            thread.enable_io_interrupt = True
            thread.interrupt()
            thread.start()
            thread.join(blocking.ENOUGH)
        self.assertEqual(seen, [FileNotFoundError, "told"])


if __name__ == "__main__":
    unittest.main()
