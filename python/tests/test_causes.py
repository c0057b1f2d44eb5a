# SPDX-License-Identifier: MIT
"""What an interrupt has caused counts as the interrupt, and nothing else does (rules 25 to 28, in Python).

The errors are those of client.c, an extension module. Each test says what its function ends by, in a child that is interrupted
while it blocks in the client's call.
"""
import asyncio
import concurrent.futures
import contextlib
import gc
import logging
import random
import socket
import sys
import threading
import time
import unittest
import weakref

import bough
import client
from bough import ThreadExit, _bough, branch
from branching import A, until_blocked
from tools import SCALE, Gate, ended, started, until

limit = 60
stays = ("anon_inode:*event*",)


class Causes(unittest.TestCase):
    def setUp(self):
        self.silent, self.beside = socket.socketpair()
        self.talking, self.other = socket.socketpair()
        self.other.send(b"x")
        for one in self.silent, self.beside, self.talking, self.other:
            self.addCleanup(one.close)
        self.fd, self.ready, self.tids = self.silent.fileno(), self.talking.fileno(), []

    def noted(self, function, *args):
        """The function, which says when it begins: for until_blocked()."""
        def run(*more):
            self.tids.append(threading.get_native_id())
            return function(*args, *more)

        return run

    def until_blocked(self, count=1):
        until(lambda: len(self.tids) >= count, "all have begun")
        for tid in self.tids:
            until_blocked(tid)

    def once_blocked(self, function, *args):
        """Called when the calling thread blocks."""
        tid = threading.get_native_id()
        thread = threading.Thread(target=lambda: (until_blocked(tid), function(*args)))
        self.addCleanup(thread.join)
        thread.start()

    def child(self, function, *args):
        """Interrupted once it blocks. The error with which it has failed stays readable."""
        with branch(supervisor=True) as b:
            child = b.add(self.noted(function, *args))
            self.until_blocked()
            child.interrupt("enough")
            child.join()
        self.tids.clear()
        self.assertEqual(_bough.interrupted_places(), [], "of a child that has ended")
        self.assertEqual(b.failures, [child.exception] if child.exception is not None else [])
        return child

    def is_interrupt(self, function, *args):
        child = self.child(function, *args)
        self.assertEqual((child.outcome, child.exception), ("interrupted", None))

    def is_failure(self, function, *args, of=None):
        child = self.child(function, *args)
        self.assertEqual(child.outcome, "error")
        self.assertIsInstance(child.exception, of or client.Error)
        return child.exception


class Interrupts(Causes):
    """Errors that count as the interrupt."""

    def test_plain(self):
        self.is_interrupt(client.ask, self.fd)
        self.is_interrupt(lambda: client.ask(self.fd))

    def test_with_the_lock_held(self):
        """C code that blocks without giving the interpreter lock away: nobody but a deadline can interrupt it"""
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.3):
            client.ask_with_lock(self.fd)
        self.assertIsInstance(caught.exception.__cause__, client.Error)

    def test_in_a_called_function(self):
        def inner(depth):
            return inner(depth - 1) if depth else client.ask(self.fd)

        self.is_interrupt(inner, 30)

    def test_as_a_cause(self):
        """of another library's error, three times over"""
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
        """kept, and raised by other code; after other work that was well"""
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
        """C code that drops the ThreadExit of a callback, in each way there is; none ends the process"""
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
        """all of whose errors are the interrupt's"""
        def body():
            errors = []
            try:
                client.ask(self.fd)
            except client.Error as error:
                errors.append(error)
            raise ExceptionGroup("both", [*errors, ExceptionGroup("inner", errors)])

        self.is_interrupt(body)

    def test_explicit_cause(self):
        """an error that says itself that the ThreadExit is its cause"""
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
        """under a debugger, whose trace function goes on being called"""
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
    """Errors that stay failures, though an interrupt is pending."""

    def test_another_instruction(self):
        def body():
            try:
                client.ask(self.fd)
            except client.Error:
                pass
            client.refuse(self.fd)

        self.assertEqual(str(self.is_failure(body)), "refused")

    def test_of_a_loop_that_went_well_since(self):
        """the same instruction: interrupted, then all right, then a real error"""
        def body():
            for function, fd in (client.ask, self.fd), (client.ask, self.ready), (client.refuse, 0):
                try:
                    function(fd)
                except client.Error:
                    if function is client.refuse:
                        raise

        self.assertEqual(str(self.is_failure(body)), "refused")

    def test_of_a_call_that_went_well(self):
        """the client ignored the interrupt, and later has a real error at the same instruction"""
        def body():
            for function in client.ask_and_ignore, client.refuse:
                function(self.fd)

        self.is_failure(body)

    def test_of_an_iterator_that_went_well(self):
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
        """the client's error is handled; the interrupt comes as itself; then the cleanup fails"""
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
        """addresses of frames that are gone come again"""
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
        """an error that is no more in what is raised"""
        def body():
            try:
                client.ask(self.fd)
            except client.Error:
                failed = True
            if failed:
                raise A

        self.is_failure(body, of=A)

    def test_cleared(self):
        """the interrupt was taken care of"""
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
        """Its context is the interrupt's all the same, so it has to be taken off."""
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
        """C code drops an error that is no interrupt's; one of a finalizer stays unraisable"""
        def body():
            with contextlib.suppress(client.Error):
                client.ask(self.fd)
            client.call(lambda: 1 / 0)

        self.is_failure(body)

    def test_dropped_and_well_since(self):
        """C code has dropped the ThreadExit of a callback, the call has returned, and fails later"""
        def body():
            for call in client.call_and_ignore, client.refuse:
                call(lambda: time.sleep(3600))

        self.is_failure(body)


class Boundaries(Causes):
    """Where an error becomes the interrupt's exception."""

    def test_body_under_a_deadline(self):
        for strict in False, True:
            with self.assertRaises((TimeoutError, bough.MultipleError)) as caught:
                with branch(timeout=0.3, strict=strict):
                    client.ask(self.fd)
            error = caught.exception.primary if strict else caught.exception
            self.assertIsInstance(error, TimeoutError)
            self.assertIsInstance(error.__cause__, client.Error)

    def test_child_under_a_deadline(self):
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.3) as b:
            child = b.add(client.ask, self.fd)
        self.assertIsInstance(caught.exception.__cause__, client.Error)
        self.assertEqual(child.outcome, "interrupted")

    def test_outer_deadline(self):
        """comes through an inner block as the ThreadExit of the outer one"""
        seen = []
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.3):
            try:
                with branch("inner"):
                    client.ask(self.fd)
            except ThreadExit as error:
                seen.append(error)
                raise
        self.assertEqual(seen[0].record.kind, "timeout")
        self.assertIsInstance(seen[0].__cause__, client.Error)
        self.assertIsInstance(caught.exception.__cause__, client.Error)

    def test_own_stop(self):
        with branch() as b:
            child = b.add(client.ask, self.fd)
            self.once_blocked(b.interrupt)
            client.ask(self.fd)
        self.assertEqual((child.outcome, b.interrupted), ("interrupted", True))

    def test_siblings(self):
        with self.assertRaises(A), branch() as b:
            for _ in range(3):
                b.add(self.noted(client.ask, self.fd))
            self.until_blocked(3)
            raise A

    def test_pool(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            bough.opt_in()
            threads = pool.submit(threading.get_native_id).result()
            future = pool.submit(client.ask, self.fd)
            until(future.running)
            until_blocked(threads)
            future.cancel()
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result()
            self.assertTrue(pool.submit(client.ask, self.ready).result())
            with self.assertRaises(client.Error):
                pool.submit(client.refuse, 0).result()

    def test_to_thread(self):
        async def main():
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(client.ask, self.fd), 0.3)

        bough.opt_in()
        asyncio.run(main())

    def test_thread(self):
        """silent, as a ThreadExit is; and an error that is none is not"""
        def end(function):
            thread = bough.Thread(target=self.noted(function, self.fd))
            thread.enable_io_interrupt = True
            thread.start()
            if function is client.ask:
                self.until_blocked()
                thread.interrupt()
            thread.join()

        seen = []
        self.addCleanup(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = lambda args: seen.append(args.exc_type)
        end(client.ask)
        self.assertEqual(seen, [])
        end(client.refuse)
        self.assertEqual(seen, [client.Error])

    def test_raise_exc(self):
        """the very instance, with the client's error as its cause"""
        error = A("posted")
        with branch(supervisor=True) as b:
            child = b.add(self.noted(client.ask, self.fd))
            self.until_blocked()
            child.raise_exc(error)
            child.join()
        self.assertIs(child.exception, error)
        self.assertIsInstance(error.__cause__, client.Error)

    def test_places_are_forgotten(self):
        """with the frame, and with the block"""
        def work():
            client.ask(self.fd)

        with branch() as b:
            self.once_blocked(b.interrupt)
            with contextlib.suppress(client.Error):
                work()
            self.assertEqual(_bough.interrupted_places(), [])
        with branch() as b:
            self.once_blocked(b.interrupt)
            try:
                work()
            except client.Error as error:
                kept = error
            self.assertEqual(len(_bough.interrupted_places()), 1)
        self.assertEqual(_bough.interrupted_places(), [])
        del kept

    def test_nothing_is_kept(self):
        """what the interrupted function had in its variables is free as soon as it would be"""
        class Thing:
            pass

        def work():
            thing = Thing()
            seen.append(weakref.ref(thing))
            client.ask(self.fd)

        def body():
            with contextlib.suppress(client.Error):
                work()
            seen.append(seen[0]())

        seen = []
        self.child(body)
        self.assertIsNone(seen[1])


class OuterInterrupts(Causes):
    """A block that an outer interrupt has ended raises it, if nothing else does."""

    def gather(self, b=None):
        def child(fd):
            if fd:
                self.noted(time.sleep, 3600)()
            return fd

        with branch("inner") as b:
            children = [b.add(child, fd) for fd in (0, 1, 2)]
        self.went_on.append([c.result for c in children])
        return self.went_on

    def setUp(self):
        super().setUp()
        self.went_on = []

    def tearDown(self):
        self.assertEqual(self.went_on, [])

    def test_child(self):
        with branch("outer") as outer:
            child = outer.add(self.gather)
            self.until_blocked(2)
            outer.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_child_alone(self):
        with branch("outer") as outer:
            child = outer.add(self.gather)
            self.until_blocked(2)
            child.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_deadline(self):
        with self.assertRaises(TimeoutError) as caught, branch("outer", timeout=0.3):
            self.gather()
        text = "\n".join(caught.exception.__notes__)
        self.assertIn("in gather", text)
        self.assertIn("in child", text)

    def test_sibling(self):
        with self.assertRaises(A), branch("outer") as outer:
            outer.add(self.gather)
            self.until_blocked(2)
            raise A

    def test_supervisor(self):
        def work():
            with branch(supervisor=True) as b:
                b.add(self.noted(time.sleep, 3600))
            self.went_on.append(1)

        with branch() as outer:
            child = outer.add(work)
            self.until_blocked()
            outer.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_pool(self):
        bough.opt_in()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            future = pool.submit(self.gather)
            self.until_blocked(2)
            future.cancel()
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result()

    def test_thread(self):
        thread = started(self.gather, enable_io_interrupt=True)
        self.until_blocked(2)
        thread.interrupt("enough")
        self.assertEqual(ended(thread).record.reason, "enough")

    def test_main(self):
        """interrupted as any thread"""
        self.once_blocked(bough.interrupt, threading.main_thread(), "enough")
        with self.assertRaises(ThreadExit) as caught:
            self.gather()
        self.assertEqual(caught.exception.record.reason, "enough")
        self.assertTrue(bough.clear_interrupt())

    def test_cleared_by_its_owner(self):
        """while the block waits: its results are not complete for that"""
        def work():
            with branch("inner") as b:
                b.add(self.noted(stubborn))
            self.went_on.append(1)

        def stubborn():
            try:
                time.sleep(3600)
            finally:
                interrupted.open()
                go.passed()

        go, interrupted = Gate(), Gate()
        with branch("outer") as outer:
            child = outer.add(work)
            self.until_blocked()
            outer.interrupt("enough")
            with bough.critical_section():
                interrupted.passed()
            outer.clear_interrupt()
            go.open()
        self.assertEqual(child.outcome, "interrupted")


class NoOuterInterrupts(Causes):
    """Blocks that end as they did."""

    def test_all_results(self):
        """the interrupt came, and every child had its result all the same"""
        def stubborn():
            try:
                time.sleep(3600)
            except ThreadExit:
                return 1

        def work():
            with branch() as b:
                child = b.add(self.noted(stubborn))
            return child.result

        with branch() as outer:
            child = outer.add(work)
            self.until_blocked()
            outer.interrupt()
        self.assertEqual((child.outcome, child.result), ("ok", 1))

    def test_one_child_alone(self):
        """a child that was interrupted alone, in a block that was not"""
        with branch() as b:
            child = b.add(self.noted(time.sleep, 3600))
            self.until_blocked()
            child.interrupt()
            child.join()
        self.assertEqual(child.outcome, "interrupted")

    def test_terminated(self):
        with branch() as b:
            child = b.add(self.noted(time.sleep, 3600))
            self.until_blocked()
            child.terminate()
        self.assertEqual(child.outcome, "interrupted")

    def test_own_stop(self):
        with branch() as b:
            b.add(time.sleep, 3600)
            b.interrupt()
        self.assertTrue(b.interrupted)

    def test_own_failure_first(self):
        def work():
            with branch() as b:
                b.add(time.sleep, 3600)
                b.add(self.fails)

        with self.assertRaises(A), branch() as outer:
            outer.add(work)

    @staticmethod
    def fails():
        raise A


class Where(Causes):
    """A deadline's TimeoutError shows where the threads were."""

    def notes(self, function, *, body, strict=False):
        with self.assertRaises((TimeoutError, bough.MultipleError)) as caught, branch(timeout=0.3, strict=strict) as b:
            if body:
                function()
            else:
                b.add(function, name="the child's name")
        error = caught.exception
        return "\n".join((error.primary if strict else error).__notes__)

    def stuck_here(self):
        self.silent.recv(1)

    def client_stuck_here(self):
        client.ask(self.fd)

    def test_everywhere(self):
        for function in self.stuck_here, self.client_stuck_here:
            line = function.__func__.__code__.co_firstlineno + 1
            for body in True, False:
                for strict in True, False:
                    with self.subTest(function=function.__name__, body=body, strict=strict):
                        text = self.notes(function, body=body, strict=strict)
                        self.assertIn(f'File "{__file__}", line {line}, in {function.__name__}', text)
                        self.assertEqual("the child's name" in text, not body)
                        self.assertNotIn("_branch.py", text)

    def test_many(self):
        """not more than fit on a screen"""
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.5) as b:
            for _ in range(20):
                b.add(self.stuck_here)
        self.assertEqual(len(caught.exception.__notes__), 9)
        self.assertEqual(caught.exception.__notes__[-1], "and 12 more")

    def test_no_cycles(self):
        """nothing but the exception keeps what it shows"""
        class Thing:
            pass

        def work():
            thing = Thing()
            seen.append(weakref.ref(thing))
            self.client_stuck_here()

        seen = []
        gc.disable()
        self.addCleanup(gc.enable)
        for child in True, False:
            try:
                with branch(timeout=0.3) as b:
                    b.add(work) if child else work()
            except TimeoutError:
                pass
            del b
        self.assertEqual([ref() for ref in seen], [None, None])


class Many(Causes):
    """All sorts at a time, interrupted at random moments: threads that share code and descriptors, frames at the same addresses."""

    def rows(self):
        while True:
            try:
                yield client.ask(self.fd)
            except client.Error as error:
                yield error

    def deep(self, depth=10):
        return self.deep(depth - 1) if depth else client.ask(self.fd)

    def iterate(self):
        for row in self.rows():
            if isinstance(row, client.Error):
                raise row

    def late_callback(self):
        with bough.on_interrupt(lambda: None, deadline=0.001):
            client.ask(self.fd)

    def in_callback(self):
        client.call(lambda: time.sleep(3600))

    def well_since(self):
        for function, fd in [(client.ask, self.fd), *[(client.ask, self.ready)] * 50, (client.refuse, 0)]:
            try:
                function(fd)
            except client.Error:
                if function is client.refuse:
                    raise

    def elsewhere(self):
        with contextlib.suppress(client.Error):
            client.ask(self.fd)
        sum(range(10000))
        client.refuse(0)

    INTERRUPTS, FAILURES = (deep, iterate, late_callback, in_callback), (well_since, elsewhere)

    def test_many(self):
        logging.getLogger("bough").setLevel(logging.ERROR)
        self.addCleanup(logging.getLogger("bough").setLevel, logging.NOTSET)
        for _ in range(int(10 * SCALE)):
            with branch(supervisor=True) as b:
                works = [random.choice(self.INTERRUPTS + self.FAILURES) for _ in range(40)]
                children = [b.add(self.noted(work, self)) for work in works]
                self.until_blocked(40)
                time.sleep(random.random() * 0.01)
                for child in children:
                    child.interrupt()
            self.tids.clear()
            for work, child in zip(works, children):
                self.assertEqual(child.outcome, "error" if work in self.FAILURES else "interrupted", work)
            self.assertEqual(_bough.interrupted_places(), [])


if __name__ == "__main__":
    unittest.main()
