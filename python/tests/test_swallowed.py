# SPDX-License-Identifier: MIT
"""Exceptions that a finalizer, C code or a report swallows are raised again (rule 44)."""
import contextlib
import ctypes
import io
import os
import sys
import time
import unittest

import bough
from bough import ThreadExit, _bough
from channels import full_pipe
from tools import bytecode, ended, open_what_stays, points, poll_for, started, until_blocked, until_inside

stays = ("*/libffi.so*",)  # by which ctypes makes callbacks
setUpModule = open_what_stays


class Posted(BaseException):
    pass


class Swallowed(unittest.TestCase):
    """An exception that was swallowed in __del__ or by C code is armed again (rule 44)."""

    def swallowed_in_del(self, post, wanted):
        """A finalizer reaches a point, where the exception is raised; the interpreter drops it; it is raised again."""

        class Meets:
            def __del__(self):
                bough.check_interrupt()
                seen.append("not raised")

        def run():
            with bough.critical_section():
                poll_for(bough.interruption_requested)
            Meets()
            seen.append("after")
            points()

        for _ in range(10):  # without the processor for 50 ms, the thread gets the exception before it reaches the finalizer
            seen = []
            thread = started(run)
            until_inside(thread, poll_for)
            post(thread)
            error = ended(thread)
            if seen:
                break
        self.assertEqual(seen, ["after"])
        return error

    def test_interrupt_in_del(self):
        """an interrupt"""
        self.assertIsInstance(self.swallowed_in_del(lambda t: t.interrupt(), ThreadExit), ThreadExit)

    def test_exception_in_del(self):
        """the very instance that was posted"""
        error = KeyError("x")
        self.assertIs(self.swallowed_in_del(lambda t: t.raise_exc(error), KeyError), error)

    def test_terminate_in_del(self):
        """SystemExit of terminate()"""
        self.assertIs(type(self.swallowed_in_del(lambda t: t.terminate(), SystemExit)), SystemExit)

    def test_by_c_code(self):
        """in a callback from C, whose caller drops exceptions"""
        def callback():
            bough.check_interrupt()
            return 0

        def run():
            with bough.critical_section():
                poll_for(bough.interruption_requested)
            ctypes.CFUNCTYPE(ctypes.c_int)(callback)()
            bytecode()

        error = KeyError("x")
        thread = started(run)
        thread.raise_exc(error)
        self.assertIs(ended(thread), error)

    def goes_on_to_wait(self, function, post):
        """`function` is interrupted in a wait, and the exception is dropped. The next call raises it again."""

        def run():
            _bough.set_grace(3600)  # after which it would come again anyway
            function()
            seen.append("after")
            time.sleep(3600)

        seen = []
        thread = started(run, enable_io_interrupt=True)
        until_blocked(thread)
        post(thread)
        error = ended(thread)
        self.assertEqual(seen, ["after"])
        return error

    def each_kind(self, function):
        error = Posted("x")
        self.assertIs(self.goes_on_to_wait(function, lambda t: t.raise_exc(error)), error)
        self.assertIsInstance(self.goes_on_to_wait(function, lambda t: t.interrupt()), ThreadExit)

    def test_by_a_file(self):
        """a file that is freed writes to a full pipe"""

        def write():
            file = open(os.dup(w), "wb")
            file.write(b"x")
            del file

        with full_pipe() as (w, _):
            self.each_kind(write)

    def test_by_a_class_of_files(self):
        """as above, of a class in Python"""

        class File(io.FileIO):
            def close(self):
                try:
                    if not self.closed:
                        super().write(b"x")
                finally:
                    super().close()

        def write():
            File(os.dup(w), "wb")

        with full_pipe() as (w, _):
            self.each_kind(write)

    def test_by_a_report(self):
        """the report of an exception that was dropped is written to a full pipe"""

        class Fails:
            def __del__(self):
                raise KeyError("x")

        class Full(io.TextIOBase):
            def write(self, text):
                return os.write(w, text.encode())

        def report():
            with contextlib.redirect_stderr(Full()):
                Fails()

        with full_pipe() as (w, _):
            self.each_kind(report)

    def test_others_are_reported(self):
        """an exception that no interrupt has raised is reported as without bough"""
        def run():
            class Fails:
                def __del__(self):
                    raise error

            Fails()

        hook, seen = sys.unraisablehook, []
        error = KeyError("x")
        # the test's hook replaces the hook of the time of the opt-in
        bough.opt_out()
        sys.unraisablehook = lambda unraisable: seen.append(unraisable.exc_value)
        try:
            bough.opt_in()
            self.assertIsNone(ended(started(run)))
        finally:
            bough.opt_out()
            sys.unraisablehook = hook
            bough.opt_in()
        self.assertEqual(seen, [error])


if __name__ == "__main__":
    unittest.main()
