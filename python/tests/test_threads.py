# SPDX-License-Identifier: MIT
"""Threads: their end, flags, idents, and leftovers."""
import concurrent.futures
import gc
import os
import queue
import sysconfig
import threading
import time
import tracemalloc
import unittest
import weakref

import bough
import client
from bough import ThreadExit, _bough
from tools import (
    Gate, bytecode, ended, open_what_stays, pipe, points, poll_for, read, started, until, until_blocked,
)

setUpModule = open_what_stays


class Exit(unittest.TestCase):
    """ThreadExit"""

    def test_class(self):
        """it is a SystemExit, and Interrupted is the same class"""
        self.assertTrue(issubclass(ThreadExit, SystemExit))
        self.assertIs(bough.Interrupted, ThreadExit)

    def test_finally_runs(self):
        """finally blocks run, and it ends the thread silently"""
        seen = []

        def run():
            try:
                points()
            finally:
                seen.append("finally")

        thread = bough.Thread(target=run)  # not in started()'s try
        thread.start()
        thread.interrupt()
        thread.join()
        self.assertEqual(seen, ["finally"])

    def test_sticky(self):
        """caught and not cleared, the next point raises it again"""
        def run():
            for _ in range(3):
                try:
                    points()
                except ThreadExit:
                    seen.append(1)
            bough.check_interrupt()

        seen = []
        thread = started(run)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)
        self.assertEqual(seen, [1, 1, 1])

    def test_calls_that_do_not_wait(self):
        """a call that has nothing to wait for ends as usual, although an interrupt is due"""
        over = threading.Thread(target=int)
        over.start()
        over.join()
        is_set = threading.Event()
        is_set.set()
        items = queue.Queue()
        items.put("item")
        done = concurrent.futures.Future()
        done.set_result("result")

        def run():
            try:
                points()
            except ThreadExit:
                free = threading.Lock()
                with free:
                    seen.append((over.join(), is_set.wait(), items.get(), done.result()))
            bough.check_interrupt()

        seen = []
        thread = started(run)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)
        self.assertEqual(seen, [(None, True, "item", "result")])

    def test_cleared(self):
        """after it is caught and cleared, by clear_interrupt() or ThreadExit.clear(), the next point raises nothing"""
        for clear in (bough.clear_interrupt, ThreadExit.clear):
            with self.subTest(clear):
                def run():
                    try:
                        points()
                    except ThreadExit as exit:
                        first = exit.clear() if clear is ThreadExit.clear else clear()
                    bough.check_interrupt()
                    return first, clear(), bough.interruption_requested(), bough.reason()

                thread = started(run)
                thread.interrupt()
                self.assertIsNone(ended(thread))
                self.assertEqual(thread.result, (True, False, False, None))

    def test_str(self):
        """its text is the reason"""
        thread = started(points)
        thread.interrupt("the reason")
        self.assertEqual(str(ended(thread)), "the reason")


class IsAThread(unittest.TestCase):
    """a bough.Thread is a threading.Thread"""

    def test_subclass_with_run(self):
        """a subclass that overrides run() works, and super().run() in it"""
        class Mine(bough.Thread):
            def run(self):
                seen.append("mine")
                super().run()

        seen = []
        thread = Mine(target=seen.append, args=("target",), name="my name", daemon=True)
        thread.start()
        thread.join()
        self.assertEqual(seen, ["mine", "target"])
        self.assertEqual((thread.name, thread.daemon), ("my name", True))

    def test_started_twice(self):
        """start() twice is a RuntimeError"""
        thread = started(lambda: None)
        ended(thread)
        with self.assertRaises(RuntimeError):
            thread.start()

    def test_error_is_printed(self):
        """an uncaught error reaches threading.excepthook, ThreadExit and SystemExit do not print"""
        def fail(error):
            raise error

        hook, seen = threading.excepthook, []
        threading.excepthook = lambda args: seen.append(args.exc_value)
        try:
            error = KeyError("x")
            for each in (error, SystemExit()):
                thread = bough.Thread(target=fail, args=(each,))
                thread.start()
                thread.join()
        finally:
            threading.excepthook = hook
        self.assertEqual([e for e in seen if not isinstance(e, SystemExit)], [error])

    def test_is_alive(self):
        """isAlive() is is_alive()"""
        go = Gate()
        thread = started(go.passed)
        self.assertTrue(thread.isAlive() and thread.is_alive())
        go.open()
        ended(thread)
        self.assertFalse(thread.isAlive())


class OnInterrupt(unittest.TestCase):
    def interrupted(self, callback, deadline=5.0, cls=bough.Thread):
        with pipe() as (r, w):
            def run():
                with bough.on_interrupt(lambda: (callback(), os.write(w, b"x")), deadline=deadline):
                    return read(r)

            thread = started(run, cls=cls)
            until_blocked(thread)
            bough.interrupt(thread)
            self.assertIsNone(ended(thread))
            self.assertEqual(thread.result, b"x")
            return thread

    def test_called_on_another_thread(self):
        """the callback runs on a separate thread, once, and ends the work from outside"""
        for cls in (bough.Thread, threading.Thread):
            seen = []
            thread = self.interrupted(lambda: seen.append(threading.current_thread()), cls=cls)
            self.assertEqual(len(seen), 1)
            self.assertNotIn(seen[0], (thread, threading.main_thread()))
            seen[0].join()

    def test_pending_before(self):
        """an interrupt that is pending already counts"""
        def run():
            poll_for(bough.interruption_requested)
            with bough.on_interrupt(notified.set):
                return notified.wait(10)

        notified = threading.Event()
        thread = started(run)
        thread.interrupt()
        ended(thread)
        self.assertTrue(thread.result)

    def test_not_called(self):
        """without an interrupt, and after the block, it is not called"""
        def run():
            with bough.on_interrupt(lambda: seen.append(1)):
                pass
            behind.open()
            go.passed()
            time.sleep(0.05)

        seen, behind, go = [], Gate(), Gate()
        thread = started(run)
        behind.passed()
        thread.interrupt()
        go.open()
        ended(thread)
        self.assertEqual(seen, [])

    def test_nested(self):
        """nested ones are all called"""
        def run():
            with bough.on_interrupt(outer.set), bough.on_interrupt(inner.set):
                return outer.wait(10) and inner.wait(10)

        outer, inner = threading.Event(), threading.Event()
        thread = started(run)
        thread.interrupt()
        ended(thread)
        self.assertTrue(thread.result)

    def test_late(self):
        """one that takes longer than its deadline is reported, and left behind"""
        leave = Gate()
        with self.assertLogs("bough") as logs:
            def run():
                with bough.on_interrupt(leave.passed, deadline=0.05):
                    reported.passed()

            reported = Gate()
            thread = started(run)
            thread.interrupt()
            until(lambda: logs.output, "the report")
            reported.open()
            ended(thread)
        leave.open()
        self.assertIn("has not come back in 0.05 s", logs.output[0])

    def test_no_callable(self):
        """an object that can't be called is a TypeError"""
        with self.assertRaises(TypeError):
            bough.on_interrupt(None)


class WhatIsLeft(unittest.TestCase):
    limit = 120

    @unittest.skipIf(sysconfig.get_config_var("Py_GIL_DISABLED"), "a free-threaded interpreter leaves functions to the collector")
    def test_no_cycles(self):
        """a thread that has ended is freed without the collector"""
        def interrupted():
            thread = started(points)
            thread.interrupt()
            return thread

        def raised():
            thread = started(bytecode)
            thread.raise_exc(KeyError)
            return thread

        def asynchronous():
            thread = started(bytecode, enable_async_interrupt=True)
            thread.interrupt()
            return thread

        gc.collect()
        gc.disable()
        try:
            for make in (lambda: started(lambda: None), interrupted, raised, asynchronous):
                thread = make()
                ended(thread)
                ref = weakref.ref(thread)
                thread.raised = None
                del thread
                until(lambda: ref() is None, "the end of the thread object")
        finally:
            gc.enable()

    def test_unstarted(self):
        """a thread that was never started is freed without the collector"""
        thread = bough.Thread(target=lambda: None)
        thread.interrupt()
        ref = weakref.ref(thread)
        del thread
        self.assertIsNone(ref())

    def grows(self, function, rounds=400):
        """The objects and bytes that are left after `rounds` rounds."""
        for _ in range(50):
            function()
        gc.collect()
        tracemalloc.start()
        try:
            objects, memory = len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
            for _ in range(rounds):
                function()
            gc.collect()
            return len(gc.get_objects()) - objects, tracemalloc.get_traced_memory()[0] - memory
        finally:
            tracemalloc.stop()

    def assertNothingGrows(self, function, rounds=400):
        objects, memory = self.grows(function, rounds)
        self.assertLess(objects, rounds // 4)
        self.assertLess(memory, rounds * 40)

    def test_threads_leave_nothing(self):
        """a thousand threads, interrupted and raised in, leave no object and no memory"""
        def one():
            with pipe() as (r, w):
                a, b = started(read, r, enable_io_interrupt=True), started(read, r)
                a.interrupt("a")
                b.raise_exc(KeyError("b"))
                a.join(), b.join()
            a.run = b.run = a.raised = b.raised = None

        self.assertNothingGrows(one)

    def test_calls_leave_nothing(self):
        """regions, queries, records and cleared interrupts leave no objects either"""
        def one():
            with bough.critical_section(), bough.cleanup(), bough.allow_interruption, bough.critical_section(1, check=True):
                bough.interruption_requested()
            bough.interrupt(threading.get_ident(), "x")
            repr(bough.reason())
            try:
                bough.check_interrupt()
            except ThreadExit:
                bough.clear_interrupt()
            try:
                bough.interrupt(99)
            except ValueError:
                pass
            try:
                bough.raise_exc(threading.get_ident(), KeyError("x"))
                bough.check_interrupt()
            except KeyError:
                pass

        self.assertNothingGrows(one, 2000)

    def test_posters_leave_nothing(self):
        """plain threads that are posted to and never check leave no objects"""
        def one():
            go = Gate()
            thread = started(go.passed, cls=threading.Thread)
            bough.interrupt(thread, "never met")
            bough.raise_exc(thread, ValueError)
            go.open()
            thread.join()

        self.assertNothingGrows(one)

    def test_last_finalizers_leave_nothing(self):
        """finalizers that use bough when their thread's local data is freed leave no objects"""
        def one():
            ended(started(uses_it_to_the_end, threading.local(), cls=threading.Thread))

        self.assertNothingGrows(one)


class Asks:
    def __del__(self):
        bough.check_interrupt()


def uses_it_to_the_end(local):
    bough.check_interrupt()
    local.asks = Asks()


class ThreadsOfLibraries(unittest.TestCase):
    """A thread of a C library has a thread state for each call of Python code."""

    def setUp(self):
        self.seen, self.local = [], threading.local()

    def call(self):
        number = _bough.id_of(threading.get_ident())
        uses_it_to_the_end(self.local)
        try:
            bough.raise_exc(threading.get_ident(), KeyError)
            bytecode()
        except KeyError:
            self.seen.append(number)

    def test_each_call_is_a_thread(self):
        """leftovers of the previous thread state, whose last finalizer used bough, are not taken for the new one"""
        client.on_a_thread(self.call)
        self.assertEqual(len(set(self.seen)), 2, self.seen)


if __name__ == "__main__":
    unittest.main()
