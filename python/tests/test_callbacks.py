# SPDX-License-Identifier: MIT
"""on_interrupt(): in its block the callback ends the call; a call that it has ended counts as interrupted."""
import concurrent.futures
import contextlib
import sqlite3
import threading
import time
import unittest
import unittest.mock

import bough
import client
from bough import ThreadExit, _bough, branch
from branching import A, block
from causes import Causes
from process import run
from tools import Gate, until

limit = 60
stays = ("anon_inode:*event*",)

FOR_EVER = 3600

NO_THREAD = """
import _thread, bough, threading, time
def body():
    with bough.on_interrupt(print, deadline=3600):
        begun.set()
        time.sleep(3600)
begun = threading.Event()
with bough.branch() as b:
    child = b.add(body)
    begun.wait()
    _thread.stack_size(1 << 47)  # no thread has room for that
    child.interrupt()
print(child.outcome)
"""


class Callbacks(Causes):
    def answer(self):
        """A callback that ends the call."""
        self.beside.send(b"x")

    def within(self, callback, *, deadline=FOR_EVER, then=lambda: None):
        with bough.on_interrupt(callback, deadline=deadline):
            client.ask(self.fd)
        then()
        return "answered"

    def test_the_callback_ends_it(self):
        """and the interrupt does not: the call has its result"""
        child = self.child(self.within, self.answer)
        self.assertEqual((child.outcome, child.result()), ("ok", "answered"))

    def test_then_calls_are_interrupted(self):
        """the interrupt is still pending after the block"""
        child = self.child(lambda: self.within(self.answer, then=block))
        self.assertEqual(child.outcome, "interrupted")

    def test_standard_library(self):
        """its calls are not interrupted either; check_interrupt() raises"""
        def body():
            event = threading.Event()
            with bough.on_interrupt(event.set, deadline=FOR_EVER):
                seen.append(event.wait())
                time.sleep(0.001)
                seen.append("slept")
                bough.check_interrupt()

        seen = []
        self.assertEqual((self.child(body).outcome, seen), ("interrupted", [True, "slept"]))

    def test_no_thread_can_be_started(self):
        """the calls are interrupted at once: there is no thread for the callback"""
        process = run("-c", NO_THREAD)
        self.assertEqual((process.out, process.err), ("interrupted\n", ""), str(process))

    def late(self, callback, deadline):
        began = time.monotonic()
        child = self.child(lambda: self.within(callback, deadline=deadline))
        self.assertEqual((child.outcome, child.exception), ("interrupted", None))
        return time.monotonic() - began

    def test_it_ends_nothing(self):
        """when the deadline has passed the call is interrupted"""
        with self.assertNoLogs("bough"):
            self.assertGreaterEqual(self.late(lambda: None, 0.2), 0.2)

    def test_it_hangs(self):
        """the same, and it is reported"""
        leave = Gate()
        with self.assertLogs("bough") as logs:
            self.late(leave.passed, 0.1)
        leave.open()
        self.assertIn("has not come back in 0.1 s", logs.output[0])

    def test_it_fails(self):
        """the call is interrupted at once, and it is reported"""
        with self.assertLogs("bough") as logs:
            self.late(lambda: 1 / 0, FOR_EVER)
        self.assertIn("ZeroDivisionError", logs.output[0])

    def test_late_for_the_standard_library(self):
        def body():
            with bough.on_interrupt(lambda: None, deadline=0.1):
                time.sleep(3600)

        def waits():
            with bough.on_interrupt(lambda: None, deadline=0.1):
                threading.Lock().acquire() and self.lock.acquire()

        self.lock = threading.Lock()
        self.lock.acquire()
        for function in body, waits:
            seen = []
            with branch() as b:
                child = b.add(self.noted(self.kept, function, seen))
                self.until_blocked()
                child.interrupt("enough")
            self.tids.clear()
            self.assertEqual(child.outcome, "interrupted")
            self.assertEqual((seen[0].record.kind, seen[0].record.reason), ("stop", "enough"))

    @staticmethod
    def kept(function, seen):
        try:
            function()
        except ThreadExit as error:
            seen.append(error)
            raise

    def test_late_again(self):
        """after the deadline all calls of the block are interrupted as anywhere"""
        def body():
            _bough.set_grace(0.1)
            with bough.on_interrupt(lambda: None, deadline=0.1):
                with contextlib.suppress(ThreadExit):
                    time.sleep(3600)
                time.sleep(3600)

        self.is_interrupt(body)

    def test_nested(self):
        """calls are interrupted when the deadlines of all callbacks have passed"""
        def body():
            with bough.on_interrupt(outer, deadline=0.3):
                with bough.on_interrupt(inner, deadline=0.05):
                    client.ask(self.fd)

        def outer():
            seen.append("outer")

        def inner():
            seen.append("inner")
            times.append(time.monotonic())

        seen, times = [], []
        self.is_interrupt(body)
        self.assertGreaterEqual(time.monotonic() - times[0], 0.25)
        self.assertEqual(sorted(seen), ["inner", "outer"])

    def test_one_after_the_other(self):
        """the inner one's deadline does not count after its block"""
        def body():
            with bough.on_interrupt(self.answer, deadline=FOR_EVER):
                with bough.on_interrupt(lambda: None, deadline=0):
                    pass
                client.ask(self.fd)
            return "answered"

        self.assertEqual(self.child(body).result(), "answered")

    def test_a_branch_inside(self):
        def body():
            with bough.on_interrupt(self.answer, deadline=FOR_EVER), branch():
                client.ask(self.fd)
                seen.append("answered")

        seen = []
        self.child(body)
        self.assertEqual(seen, ["answered"])

    def test_raise_exc(self):
        """does not run the callback: the exception is raised at once"""
        error = A()
        with branch(supervisor=True) as b:
            child = b.add(self.noted(self.within, lambda: None))
            self.until_blocked()
            child.raise_exc(error)
        self.assertIs(child.exception, error)

    def test_pending_before(self):
        """a pending interrupt is raised at the beginning of the block"""
        def body():
            until(bough.interruption_requested)
            with bough.on_interrupt(lambda: seen.append("called")):
                seen.append("entered")

        seen = []
        with branch() as b:
            b.interrupt()
            with bough.critical_section():
                until(bough.interruption_requested)
            body()
        self.assertEqual(seen, [])

    def test_due_as_the_block_begins(self):
        """an interrupt that becomes due while the block begins runs its callback as well"""
        def set_on_due(callable):
            before = original(callable)
            if not called.is_set():
                bough.current_child().interrupt()
                called.passed()
            return before

        def body():
            with bough.on_interrupt(called.open, deadline=FOR_EVER):
                return "answered"

        original, called = _bough.set_on_due, Gate()
        with unittest.mock.patch.object(_bough, "set_on_due", set_on_due), branch() as b:
            child = b.add(body)
        self.assertEqual(child.result(), "answered")

    def test_in_a_cleanup(self):
        """an interrupt that led to the cleanup does not run the callback, and the cleanup is not interrupted"""
        def body():
            try:
                time.sleep(3600)
            finally:
                with bough.on_interrupt(lambda: seen.append("called")):
                    client.ask(self.ready)
                    time.sleep(0.1)
                seen.append("cleaned up")

        seen = []
        self.child(body)
        self.assertEqual(seen, ["cleaned up"])

    def test_used_by_many_threads(self):
        """one object, by several threads at a time"""
        def body():
            with shared, shared:
                client.ask(self.fd)

        shared = bough.on_interrupt(self.answer, deadline=FOR_EVER)
        with branch() as b:
            children = [b.add(self.noted(body)) for _ in range(3)]
            self.until_blocked(3)
            b.interrupt()
        self.assertEqual([child.outcome for child in children], ["ok"] * 3)
        self.assertEqual(shared._open, {})

    def test_deadline_is_a_number(self):
        for deadline in -1, float("nan"):
            with self.assertRaises(ValueError):
                bough.on_interrupt(print, deadline=deadline)


class Sqlite(unittest.TestCase):
    """sqlite3's interrupt() is such a callback: "interrupted" is no failure."""

    QUERY = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(n) from r"

    def setUp(self):
        self.running = Gate()

    def query(self):
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        connection.create_function("begins", 1, lambda n: self.running.open() or n)
        with contextlib.closing(connection), bough.on_interrupt(connection.interrupt, deadline=FOR_EVER):
            connection.execute(self.QUERY.replace("count(n)", "count(case n when 1000 then begins(n) end)")).fetchone()

    def begun(self):
        """Waits in a critical section, because the block that waits here may be the interrupted one."""
        with bough.critical_section():
            self.running.passed()

    def test_deadline(self):
        with self.assertRaises(TimeoutError) as caught, branch(timeout=0.3):
            self.query()
        self.assertIsInstance(caught.exception.__cause__, sqlite3.OperationalError)
        self.assertIn("in query", caught.exception.__notes__[0])
        with self.assertRaises(TimeoutError), branch(timeout=0.3) as b:
            b.add(self.query)

    def test_own_stop(self):
        with branch() as b:
            child = b.add(self.query)
            self.begun()
            b.interrupt()
        self.assertEqual((child.outcome, b.interrupted), ("interrupted", True))

    def test_alone(self):
        with branch(supervisor=True) as b:
            child = b.add(self.query)
            self.begun()
            child.interrupt()
            child.join()
        self.assertEqual((child.outcome, b.failures), ("interrupted", []))

    def test_sibling(self):
        with self.assertRaises(A), branch() as b:
            b.add(self.query)
            self.begun()
            raise A

    def test_pool(self):
        bough.opt_in(pools=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            future = pool.submit(self.query)
            self.begun()
            future.cancel()
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result()

    def test_real_error(self):
        """while the callback is at work, but at another instruction"""
        def work():
            connection = sqlite3.connect(":memory:")
            with contextlib.closing(connection), bough.on_interrupt(lambda: called.append(1), deadline=FOR_EVER):
                until(lambda: called)
                connection.execute("select nonsense from nowhere")

        called = []
        with branch(supervisor=True) as b:
            child = b.add(work)
            until(child.is_alive)
            child.interrupt()
            child.join()
        self.assertIn(child.outcome, ("error", "interrupted"))  # the interrupt may come before the block
        if called:
            self.assertIn("nowhere", str(child.exception))

    def test_an_answer_that_the_client_raises_later(self):
        """the call that the callback has ended returns, and the client raises the server's error"""
        answered = Gate()

        def receive():
            began.open()
            answered.passed()

        def ask():
            receive()
            raise A

        def work(then):
            with bough.on_interrupt(answered.open, deadline=FOR_EVER):
                if then:
                    receive()
                    raise A
                ask()

        # an error of another statement in the block is a failure
        for then, outcome in ((False, "interrupted"), (True, "error")):
            began = Gate()
            answered.clear()
            with self.subTest(then=then), branch(supervisor=True) as b:
                child = b.add(work, then)
                began.passed()
                child.interrupt()
                child.join()
                self.assertEqual(child.outcome, outcome)

    def test_function_of_sql(self):
        """interrupted in a Python function that SQLite calls: raise_exc()'s instance, or the ThreadExit, comes out"""
        def body():
            with contextlib.closing(sqlite3.connect(":memory:")) as connection:
                connection.create_function("slow", 0, lambda: time.sleep(3600))
                connection.execute("select slow()").fetchone()

        for error in A(), None:
            with branch(supervisor=True) as b:
                child = b.add(self.noted(body))
                Causes.until_blocked(self)
                child.raise_exc(error) if error else child.interrupt()
            self.tids.clear()
            self.assertIs(child.exception, error)
            self.assertEqual(child.outcome, "error" if error else "interrupted")

    tids = []
    noted = Causes.noted


if __name__ == "__main__":
    unittest.main()
