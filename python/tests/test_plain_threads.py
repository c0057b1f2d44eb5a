# SPDX-License-Identifier: MIT
"""Rule 16: after opt_in(threads=True) an interrupt ends the blocking calls of plain threads, addressed by object, ident or name."""
import logging
import logging.handlers
import multiprocessing
import queue
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import bough
from bough import NotAliveError, ThreadExit
from process import run
from tools import LIMIT, ended, pipe, read, started, until, until_blocked

limit = 60
stays = ("anon_inode:*event*",)


class Readers(unittest.TestCase):
    def setUp(self):
        bough.opt_out()
        self.addCleanup(bough.opt_out)

    def reader(self, cls=threading.Thread, name=None, catch=True):
        """Yields a thread that is blocked in os.read(), and a function that lets it continue."""
        pair = pipe()
        r, w = pair.__enter__()
        self.addCleanup(pair.__exit__, None, None, None)
        thread = started(read, r, cls=cls) if catch else cls(target=read, args=(r,))
        if name:
            thread.name = name
        if not catch:
            thread.start()
        until_blocked(thread)
        return thread, lambda: open(w, "wb", closefd=False, buffering=0).write(b"x")


class Interrupts(Readers):
    def test_ways(self):
        bough.opt_in(threads=True)
        ways = {
            "object": lambda thread: bough.interrupt(thread, "why"),
            "ident": lambda thread: bough.interrupt(thread.ident, "why"),
            "name": lambda thread: bough.interrupt("the reader", "why"),
            "all": lambda thread: bough.interrupt_all_threads("why"),
        }
        for way, interrupt in ways.items():
            with self.subTest(way):
                thread, _ = self.reader(name="the reader")
                interrupt(thread)
                error = ended(thread)
                self.assertEqual((type(error), error.record.reason), (ThreadExit, "why"))

    def test_exceptions(self):
        """raise_exc() and terminate() by name"""
        bough.opt_in(threads=True)
        thread, _ = self.reader(name="the reader")
        bough.raise_exc("the reader", KeyError("why"))
        self.assertEqual(repr(ended(thread)), "KeyError('why')")
        thread, _ = self.reader(name="the reader")
        bough.terminate("the reader")
        self.assertIsInstance(ended(thread), SystemExit)

    def test_classes(self):
        """that override run() or start(); a Timer's function; a thread of a library"""
        bough.opt_in(threads=True)

        class Library(threading.Thread):
            def start(self):
                self.was_started = True
                super().start()

            def run(self):
                try:
                    read(self.r)
                except BaseException as error:
                    self.raised = error

        with pipe() as (r, _):
            thread = Library()
            thread.r = r
            thread.start()
            until_blocked(thread)
            bough.interrupt(thread)
            thread.join(LIMIT)
            self.assertIsInstance(thread.raised, ThreadExit)
            self.assertNotIn("run", vars(thread))
            raised = []

            def waits():
                try:
                    read(r)
                except BaseException as error:
                    raised.append(error)

            timer = threading.Timer(0, waits)
            timer.start()
            until_blocked(timer)
            bough.interrupt(timer)
            timer.join(LIMIT)
            self.assertIsInstance(raised[0], ThreadExit)

    def test_not_asked_for(self):
        """opt_in() and opt_in(pools=True) do not interrupt plain threads; nor does another thread's setting"""
        for more in {}, {"pools": True}:
            bough.opt_in(**more)
            thread, go_on = self.reader()
            bough.interrupt(thread)
            go_on()
            self.assertIsNone(ended(thread))
            self.assertEqual(thread.result, b"x")
        bough.opt_in(threads=True)
        with pipe() as (r, w):

            def keeps_out():
                bough.set_enable_io_interrupt(False)
                return read(r)

            thread = started(keeps_out, cls=threading.Thread)
            until_blocked(thread)
            bough.interrupt(thread)
            open(w, "wb", closefd=False, buffering=0).write(b"y")
            self.assertIsNone(ended(thread))
            self.assertEqual(thread.result, b"y")

    def test_started_before(self):
        """is not changed"""
        thread, go_on = self.reader()
        bough.opt_in(threads=True)
        bough.interrupt(thread)
        go_on()
        self.assertIsNone(ended(thread))

    def test_opting_out(self):
        bough.opt_in(threads=True)
        self.assertTrue(bough.report()["threads"])
        bough.opt_out()
        bough.opt_in()
        self.assertFalse(bough.report()["threads"])
        thread, go_on = self.reader()
        bough.interrupt(thread)
        go_on()
        self.assertIsNone(ended(thread))

    def test_silent(self):
        """an uncaught ThreadExit ends the thread, and another exception is reported as without bough"""
        bough.opt_in(threads=True)
        errors = []
        before, threading.excepthook = threading.excepthook, errors.append
        self.addCleanup(setattr, threading, "excepthook", before)
        thread, _ = self.reader(catch=False)
        bough.interrupt(thread)
        thread.join(LIMIT)
        self.assertFalse(thread.is_alive())
        thread = threading.Thread(target=divmod, args=(1, 0))
        thread.start()
        thread.join(LIMIT)
        self.assertEqual([args.exc_type for args in errors], [ZeroDivisionError])

    def test_names(self):
        bough.opt_in(threads=True)
        with self.assertRaisesRegex(NotAliveError, r"interrupt\(\) thread: there is no thread with the name 'nobody'"):
            bough.interrupt("nobody")
        threads = [self.reader(name="twin") for _ in range(2)]
        with self.assertRaisesRegex(ValueError, "2 threads have it: give the thread or its ident"):
            bough.interrupt("twin")
        for thread, go_on in threads:
            go_on()
            self.assertIsNone(ended(thread))
        with bough.branch() as b:
            child = b.add(threading.Event().wait, name="a child")
            until(lambda: child.ident is not None)
            bough.interrupt("a child")
        self.assertEqual(child.outcome, "interrupted")


class Services(Readers):
    """Threads that serve the standard library's objects go on when everything is interrupted."""

    def setUp(self):
        super().setUp()
        bough.opt_in(threads=True)

    def test_executor(self):
        with ThreadPoolExecutor(1) as pool:
            worker = pool.submit(threading.current_thread).result(LIMIT)
            until_blocked(worker)
            bough.interrupt_all_threads()
            self.assertEqual(pool.submit(threading.current_thread).result(LIMIT), worker)

    def test_log(self):
        records, got = queue.Queue(), []

        class Handler(logging.Handler):
            def emit(self, record):
                got.append(record.getMessage())

        listener = logging.handlers.QueueListener(records, Handler())
        listener.start()
        try:
            until_blocked(listener._thread)
            bough.interrupt_all_threads()
            records.put(logging.makeLogRecord({"msg": "hello"}))
        finally:
            listener.stop()
        self.assertEqual(got, ["hello"])

    def test_queue(self):
        records = multiprocessing.Queue()
        records.put("a")
        self.assertEqual(records.get(timeout=LIMIT), "a")
        until_blocked(records._thread)
        bough.interrupt_all_threads()
        records.put("b")
        self.assertEqual(records.get(timeout=LIMIT), "b")
        records.close()
        records.join_thread()

    def test_callback(self):
        """a thread of bough"""
        called, gate = threading.Event(), threading.Event()

        def callback():
            called.set()
            gate.wait(LIMIT)

        with pipe() as (r, w):

            def waits():
                with bough.on_interrupt(callback, deadline=LIMIT):
                    return read(r)

            thread = started(waits, enable_io_interrupt=True)
            until_blocked(thread)
            bough.interrupt(thread)
            self.assertTrue(called.wait(LIMIT))
            until_blocked(next(t for t in threading.enumerate() if t.name == "bough-on-interrupt"))
            bough.interrupt_all_threads()
            until_blocked(next(t for t in threading.enumerate() if t.name == "bough-on-interrupt"))
            open(w, "wb", closefd=False, buffering=0).write(b"x")
            gate.set()
            ended(thread)


EXIT = """
import bough, os, threading
bough.opt_in(threads=True)
r, w = os.pipe()
thread = threading.Thread(target=os.read, args=(r, 1))
thread.start()
raise KeyError("why")
"""


class Exit(unittest.TestCase):
    def test_exception_in_main(self):
        """ends a plain thread that blocks, and so the program"""
        process = run("-c", EXIT)
        self.assertEqual(process.status, 1, str(process))
        self.assertIn("KeyError: 'why'", process.err)


if __name__ == "__main__":
    unittest.main()
