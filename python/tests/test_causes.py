# SPDX-License-Identifier: MIT
"""An error that an interrupt has caused counts as the interrupt, and no other error does (rules 25 to 28, in Python).

The errors are those of client.c, an extension module. Each test has a function that ends by such an error, in a child that is
interrupted while it blocks in the client's call.
"""
import concurrent.futures
import contextlib
import socket
import sys
import threading
import time
import unittest

import bough
import client
from bough import ThreadExit, _bough, branch
from branching import A
from causes import Causes, limit, stays


class Interrupts(Causes):
    """Errors that count as the interrupt."""

    def test_plain(self):
        self.is_interrupt(client.ask, self.fd)
        self.is_interrupt(lambda: client.ask(self.fd))

    def test_with_the_lock_held(self):
        """C code that blocks and holds the GIL: only a deadline can interrupt it"""
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.3):
            client.ask_with_lock(self.fd)
        self.assertIsInstance(caught.exception.__cause__, client.Error)

    def test_in_a_called_function(self):
        def inner(depth):
            return inner(depth - 1) if depth else client.ask(self.fd)

        self.is_interrupt(inner, 30)

    def test_as_a_cause(self):
        """of another library's error, three levels deep"""
        def one():
            try:
                client.ask(self.fd)
            except client.Error as error:
                raise A("one") from error

        def two():
            try:
                one()
            except A as error:
                raise KeyError("two") from error

        self.is_interrupt(one)
        self.is_interrupt(two)

    def test_as_a_context(self):
        def implicit():
            try:
                client.ask(self.fd)
            except client.Error:
                raise A("implicit")

        def hidden():
            try:
                client.ask(self.fd)
            except client.Error:
                raise A("hidden") from None

        self.is_interrupt(implicit)
        self.is_interrupt(hidden)

    def test_raised_again_elsewhere(self):
        """stored, and raised by other code, after other work that succeeded"""
        def body():
            try:
                client.ask(self.fd)
            except client.Error as caught:
                error = caught
            client.ask(self.ready)
            len("other work")
            raise error

        self.is_interrupt(body)

    def test_retries_that_fail(self):
        """a wrapper that tries again at the same instruction, and gives up with the last error"""
        def body():
            for fd in self.fd, -2, -2:
                try:
                    return client.ask(fd) if fd > 0 else client.refuse(fd)
                except client.Error as caught:
                    last = caught
                    first = last if fd > 0 else first
            raise A("gave up") from first

        def same_instruction():
            for function in client.ask, client.refuse, client.refuse:
                try:
                    return function(self.fd)
                except client.Error as caught:
                    last = caught
            raise last

        self.is_interrupt(body)
        self.is_interrupt(same_instruction)

    def test_generator(self):
        def rows():
            yield client.ask(self.ready)
            yield client.ask(self.fd)

        def body():
            for row in rows():
                self.assertTrue(row)

        self.is_interrupt(body)
        self.is_interrupt(lambda: list(rows()))

    def test_iterator(self):
        """an instruction that is no call: the client's iterator"""
        self.is_interrupt(lambda: [None for _ in iter(lambda: client.ask(self.fd), None)])
        self.is_interrupt(lambda: list(map(client.ask, [self.ready, self.fd])))

        def body():
            for row in map(client.ask, [self.ready, self.ready, self.fd]):
                self.assertTrue(row)

        self.is_interrupt(body)

    def test_property(self):
        class Cursor:
            rows = property(lambda cursor: client.ask(self.fd))

        self.is_interrupt(lambda: Cursor().rows)

    def test_with_block(self):
        class Connection:
            def __enter__(connection):
                client.ask(self.fd)

            def __exit__(connection, *error):
                client.ask(self.ready)

        def entering():
            with Connection():
                pass

        def inside():
            with contextlib.closing(socket.socket()):
                client.ask(self.fd)

        self.is_interrupt(entering)
        self.is_interrupt(inside)

    def test_coroutine(self):
        async def main():
            client.ask(self.fd)

        def body():
            coroutine = main()
            try:
                coroutine.send(None)
            finally:
                coroutine.close()

        self.is_interrupt(body)

    def test_callback_of_c_code(self):
        """the error of a function that C code has called, passed on or replaced"""
        self.is_interrupt(lambda: sorted([1], key=lambda _: client.ask(self.fd)))
        self.is_interrupt(lambda: client.call(lambda: client.ask(self.fd)))
        self.is_interrupt(lambda: client.call(lambda: client.call(lambda: client.ask(self.fd))))

    def test_callback_that_is_interrupted(self):
        """C code that drops the ThreadExit of a callback, in each possible way; none ends the process"""
        for call in client.call, client.call_and_print, client.call_and_report:
            with self.subTest(call.__name__):
                self.is_interrupt(lambda: call(lambda: time.sleep(3600)))

    def test_dropped_without_an_error(self):
        """it comes again in the next call"""
        def body():
            client.call_and_ignore(lambda: time.sleep(3600))
            time.sleep(3600)

        self.is_interrupt(body)

    def test_group(self):
        """a group whose errors are all the interrupt's"""
        def body():
            errors = []
            try:
                client.ask(self.fd)
            except client.Error as error:
                errors.append(error)
            raise ExceptionGroup("both", [*errors, ExceptionGroup("inner", errors)])

        self.is_interrupt(body)

    def test_explicit_cause(self):
        """an error whose `__cause__` is the ThreadExit"""
        def body():
            try:
                time.sleep(3600)
            except ThreadExit as error:
                raise A("could not sleep") from error

        self.is_interrupt(body)

    def test_extended_arguments(self):
        """an instruction with prefixes"""
        lines = "\n".join(f"    x{i} = {i}.5" for i in range(300))
        code = f"def body():\n{lines}\n    for row in map(ask, [ready, fd]):\n" + lines.replace("    ", "        ")
        names = {"ask": client.ask, "ready": self.ready, "fd": self.fd}
        exec(code, names)
        self.is_interrupt(names["body"])

    def test_traced(self):
        """under a debugger, whose trace function is still called"""
        seen = []

        def tracer(frame, event, argument):
            seen.append(event)
            return tracer

        def retry():
            for function in client.ask, client.refuse:
                try:
                    return function(self.fd)
                except client.Error as caught:
                    last = caught
            seen.append("here")
            raise last

        def body():
            sys.settrace(tracer)
            try:
                retry()
            finally:
                sys.settrace(None)

        self.is_interrupt(body)
        self.assertIn("line", seen[seen.index("here") :])
        self.assertNotIn("opcode", seen)


class Failures(Causes):
    """Errors that stay failures although an interrupt is pending."""

    def test_another_instruction(self):
        def body():
            try:
                client.ask(self.fd)
            except client.Error:
                pass
            client.refuse(self.fd)

        self.assertEqual(str(self.is_failure(body)), "refused")

    def test_of_a_loop_that_has_succeeded_since(self):
        """the same instruction: interrupted, then successful, then a real error"""
        def body():
            for function, fd in (client.ask, self.fd), (client.ask, self.ready), (client.refuse, 0):
                try:
                    function(fd)
                except client.Error:
                    if function is client.refuse:
                        raise

        self.assertEqual(str(self.is_failure(body)), "refused")

    def test_of_a_call_that_succeeded(self):
        """the client ignored the interrupt, and later has a real error at the same instruction"""
        def body():
            for function in client.ask_and_ignore, client.refuse:
                function(self.fd)

        self.is_failure(body)

    def test_of_an_iterator_that_succeeded(self):
        def rows():
            yield self.fd
            yield 0

        def body():
            for _ in map(lambda fd: client.ask_and_ignore(fd) if fd else client.refuse(0), rows()):
                pass

        def in_c():
            functions = iter([client.ask_and_ignore, client.refuse])
            for _ in map(lambda function, fd: function(fd), functions, [self.fd, self.fd]):
                pass

        self.is_failure(body)
        self.is_failure(in_c)

    def test_after_a_thread_exit(self):
        """cleanup code that fails"""
        def cleanup():
            try:
                time.sleep(3600)
            finally:
                client.refuse(0)

        def handler():
            try:
                time.sleep(3600)
            except ThreadExit:
                raise A

        self.is_failure(cleanup)
        self.is_failure(handler, of=A)

    def test_after_a_thread_exit_of_a_client(self):
        """the client's error is handled; the interrupt is raised as a ThreadExit; then the cleanup fails"""
        def body():
            try:
                try:
                    client.ask(self.fd)
                except client.Error:
                    bough.check_interrupt()
            finally:
                client.refuse(0)

        self.is_failure(body)

    def test_another_frame(self):
        """the same code, in another call, recursive, or after the first is gone"""
        def work(fd):
            return client.ask(fd) if fd else client.refuse(fd)

        def again(*functions):
            function, *rest = functions
            if rest:
                with contextlib.suppress(client.Error):
                    again(*rest)
            function(self.fd)

        def body():
            for _ in range(3):
                with contextlib.suppress(client.Error):
                    work(self.fd if not _ else 0)
            work(0)

        def recursive():
            again(client.refuse, client.refuse, client.ask)

        self.is_failure(body)
        self.is_failure(recursive)

    def test_same_place_in_many_frames(self):
        """addresses of freed frames are reused"""
        def work(function):
            function(self.fd)

        def body():
            with contextlib.suppress(client.Error):
                work(client.ask)
            for _ in range(200):
                try:
                    work(client.refuse)
                except client.Error as error:
                    self.assertIs(_bough.as_interrupt(error), error)
            work(client.refuse)

        self.is_failure(body)

    def test_handled(self):
        """an error that is no longer part of the raised exception"""
        def body():
            try:
                client.ask(self.fd)
            except client.Error:
                failed = True
            if failed:
                raise A

        self.is_failure(body, of=A)

    def test_cleared(self):
        """the interrupt was handled"""
        def body():
            try:
                client.ask(self.fd)
            finally:
                bough.clear_interrupt()

        self.is_failure(body)

    def test_cleared_and_interrupted_again(self):
        """another interrupt is pending, not the one that has caused it"""
        def body():
            try:
                client.ask(self.fd)
            finally:
                bough.clear_interrupt()
                bough.interrupt(threading.get_ident(), "another")

        self.is_failure(body)

    def test_other_thread(self):
        """another thread's error at the same instruction"""
        def work(function):
            function(self.fd)

        def body():
            try:
                work(client.ask)
            except client.Error as error:
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    raise pool.submit(work, client.refuse).exception() from None
            del error

        error = self.is_failure_of_pool(body)
        self.assertEqual(str(error), "refused")

    def is_failure_of_pool(self, body):
        """Its context is the interrupt's exception nevertheless, so the test removes it."""
        def without_context():
            try:
                body()
            except client.Error as error:
                if str(error) == "refused":
                    error.__context__ = None
                raise

        return self.is_failure(without_context)

    def test_not_interrupted(self):
        self.assertEqual(_bough.interrupted_places(), [])
        with self.assertRaises(client.Error), branch() as b:
            b.add(client.refuse, 0)

    def test_group_with_a_failure(self):
        def body():
            try:
                client.ask(self.fd)
            except client.Error as caught:
                error = caught
            raise ExceptionGroup("both", [error, A()])

        self.is_failure(body, of=ExceptionGroup)

    def test_no_errors(self):
        """Ctrl-C, sys.exit() and the close of a generator, while the error is handled"""
        def body(error):
            try:
                client.ask(self.fd)
            except client.Error:
                raise error

        self.is_failure(body, KeyboardInterrupt(), of=KeyboardInterrupt)
        self.is_failure(body, SystemExit(3), of=SystemExit)

    def test_callback_that_fails(self):
        """C code drops an error that no interrupt has caused; an error of a finalizer stays unraisable"""
        def body():
            with contextlib.suppress(client.Error):
                client.ask(self.fd)
            client.call(lambda: 1 / 0)

        self.is_failure(body)

    def test_dropped_and_successful_since(self):
        """C code has dropped the ThreadExit of a callback, the call has returned, and fails later"""
        def body():
            for call in client.call_and_ignore, client.refuse:
                call(lambda: time.sleep(3600))

        self.is_failure(body)


if __name__ == "__main__":
    unittest.main()
