# SPDX-License-Identifier: MIT
"""The places where an error that an interrupt has caused becomes the interrupt; and the text of a deadline's error
(rules 25 to 28)."""
import asyncio
import concurrent.futures
import contextlib
import gc
import logging
import random
import sys
import threading
import time
import unittest
import weakref

import bough
import client
from bough import ThreadExit, _bough, branch
from branching import A, until_blocked
from causes import Causes, limit, stays
from tools import SCALE, until


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
        with self.assertRaises(TimeoutError) as caught, branch() as b:
            child = b.add(self.noted(client.ask, self.fd))
            self.ends_when_blocked(b)
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
            bough.opt_in(pools=True)
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

        bough.opt_in(pools=True)
        asyncio.run(main())

    def test_thread(self):
        """the thread ends silently, as by a ThreadExit; another error is reported"""
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
        """the posted instance is raised, with the client's error as its cause"""
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
        """the interrupted function's variables are freed as early as without bough"""
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


@unittest.skipUnless(hasattr(sys, "monitoring"), "sys.monitoring is new in 3.12")
class OtherTools(Causes):
    """sys.monitoring does not report an instruction at which another tool switches its LINE event off, as test coverage does."""

    def setUp(self):
        super().setUp()
        monitoring, number = sys.monitoring, sys.monitoring.COVERAGE_ID
        monitoring.use_tool_id(number, "test")
        self.addCleanup(monitoring.free_tool_id, number)
        monitoring.register_callback(number, monitoring.events.LINE, lambda *event: monitoring.DISABLE)
        self.addCleanup(monitoring.register_callback, number, monitoring.events.LINE, None)
        monitoring.set_events(number, monitoring.events.LINE)
        self.addCleanup(monitoring.set_events, number, 0)
        monitoring.restart_events()  # an earlier test has switched them off

    def in_block(self, manager):
        with manager:
            client.ask(self.fd)

    def before_cleanup(self):
        try:
            client.ask(self.fd)
        finally:
            self.tids.sort()

    def test_block(self):
        """its code begins a line where it handles the error"""
        self.is_interrupt(self.in_block, contextlib.nullcontext())

    def test_callback(self):
        self.is_interrupt(self.in_block, bough.on_interrupt(lambda: None, deadline=0.01))

    def test_cleanup(self):
        self.is_interrupt(self.before_cleanup)

    def test_comprehension(self):
        self.is_interrupt(lambda: [client.ask(fd) for fd in (self.fd,)])

    def test_later_failure(self):
        """of another call at the same instruction is one"""
        def asks():
            for function, argument in (client.ask, self.fd), (client.ask, self.ready), (client.refuse, 0):
                try:
                    with contextlib.nullcontext():
                        function(argument)
                except client.Error:
                    if function is client.refuse:
                        raise

        self.is_failure(asks)


class Where(Causes):
    """A deadline's TimeoutError shows where the threads were."""

    def notes(self, function, *, body, strict=False):
        with self.assertRaises((TimeoutError, bough.MultipleError)) as caught, branch(strict=strict) as b:
            if body:
                b.set_deadline(time.monotonic() + 0.3)
                function()
            else:
                b.add(self.noted(function), name="the child's name")
                self.ends_when_blocked(b)
        self.tids.clear()
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
        """at most as many as fit on a screen"""
        with self.assertRaises(TimeoutError) as caught, branch() as b:
            for _ in range(20):
                b.add(self.noted(self.stuck_here))
            self.ends_when_blocked(b, 20)
        self.assertEqual(len(caught.exception.__notes__), 9)
        self.assertEqual(caught.exception.__notes__[-1], "and 12 more")

    def test_no_cycles(self):
        """only the exception keeps the objects that it shows alive"""
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
                with branch() as b:
                    if child:
                        b.add(self.noted(work))
                        self.ends_when_blocked(b)
                    else:
                        b.set_deadline(time.monotonic() + 0.3)
                        work()
            except TimeoutError:
                pass
            del b
        until(lambda: [ref() for ref in seen] == [None, None], "the end of both")


class Many(Causes):
    """All kinds at the same time, interrupted at random moments: threads that share code and descriptors, frames at the same
    addresses."""

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
