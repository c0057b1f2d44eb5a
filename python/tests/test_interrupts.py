# SPDX-License-Identifier: MIT
"""interrupt(): which threads are interrupted where (rule 16), and the effects."""
import os
import threading
import unittest
from pathlib import Path

import bough
import client
from bough import ThreadExit, _bough
from process import run
from tools import (
    Gate, assert_kept_out, bytecode, ended, open_what_stays, pipe, points, poll_for, read, started, still_there,
    until, until_blocked,
)

setUpModule = open_what_stays


class WhereInterruptsEnd(unittest.TestCase):
    """where a thread of each kind is interrupted: rule 16, row by row"""

    def assertExit(self, thread, reason="test"):
        error = ended(thread)
        self.assertIsInstance(error, ThreadExit)
        self.assertEqual(error.record.reason, reason)

    def assertLeftAlone(self, function, *args, cls=bough.Thread, end, **flags):
        """The thread is interrupted, goes on until `end` is called, and then ends normally."""
        thread = started(function, *args, cls=cls, **flags)
        until_blocked(thread)
        bough.interrupt(thread, "test")
        self.assertTrue(still_there(thread))
        end()
        self.assertIsNone(ended(thread))

    def test_plain_thread(self):
        """a threading.Thread is interrupted at check_interrupt()"""
        thread = started(points, cls=threading.Thread)
        bough.interrupt(thread, "test")
        self.assertExit(thread)

    def test_plain_thread_blocked(self):
        """a threading.Thread's blocking calls are not interrupted"""
        with pipe() as (r, w):
            self.assertLeftAlone(read, r, cls=threading.Thread, end=lambda: os.write(w, b"x"))

    def test_switched_off(self):
        """set_enable_io_interrupt(False): a thread's blocking calls are not interrupted in that block, but after it"""
        def run():
            with bough.set_enable_io_interrupt(False):
                seen.append(read(r))
            read(r)

        seen = []
        with pipe() as (r, w):
            thread = started(run, enable_io_interrupt=True)
            until_blocked(thread)
            bough.interrupt(thread, "test")
            self.assertTrue(still_there(thread))
            os.write(w, b"x")
            self.assertExit(thread)
        self.assertEqual(seen, [b"x"])

    def test_plain_thread_in_bytecode(self):
        """a threading.Thread is not interrupted in bytecode"""
        stop = []

        def run():
            while not stop:
                pass

        thread = started(run, cls=threading.Thread)
        bough.interrupt(thread)
        self.assertTrue(still_there(thread))
        stop.append(1)
        self.assertIsNone(ended(thread))

    def test_thread(self):
        """a Thread is interrupted at check_interrupt()"""
        thread = started(points)
        thread.interrupt("test")
        self.assertExit(thread)

    def test_thread_blocked(self):
        """a Thread's blocking calls are not interrupted without enable_io_interrupt"""
        with pipe() as (r, w):
            self.assertLeftAlone(read, r, end=lambda: os.write(w, b"x"))

    def test_io(self):
        """with enable_io_interrupt, in either spelling, they are interrupted"""
        for name in ("enable_io_interrupt", "enable_interrupt_io"):
            with self.subTest(name), pipe() as (r, w):
                thread = started(read, r, **{name: True})
                until_blocked(thread)
                thread.interrupt("test")
                self.assertExit(thread)

    def test_async(self):
        """with enable_async_interrupt it is interrupted in bytecode"""
        thread = started(bytecode, enable_async_interrupt=True)
        thread.interrupt("test")
        self.assertExit(thread)

    def test_async_is_anywhere(self):
        """with enable_async_interrupt it is interrupted in blocking calls, too"""
        with pipe() as (r, w):
            thread = started(read, r, enable_async_interrupt=True)
            until_blocked(thread)
            thread.interrupt("test")
            self.assertExit(thread)

    def test_io_in_bytecode(self):
        """with enable_io_interrupt alone bytecode is not interrupted"""
        stop = []

        def run():
            while not stop:
                pass

        thread = started(run, enable_io_interrupt=True)
        thread.interrupt()
        self.assertTrue(still_there(thread))
        stop.append(1)
        self.assertIsNone(ended(thread))

    def test_protected_thread(self):
        """a ProtectedThread is interrupted nowhere outside allow_interruption"""
        flags = {"enable_io_interrupt": True, "enable_async_interrupt": True}

        def run():
            read(r)
            bough.check_interrupt()
            for _ in range(100_000):
                pass
            return bough.interruption_requested()

        with pipe() as (r, w):
            self.assertLeftAlone(run, cls=bough.ProtectedThread, end=lambda: os.write(w, b"x"), **flags)

    def test_protected_thread_allows(self):
        """inside, it is interrupted as its flags say: at points, in calls, anywhere"""

        def allowing(function, *args):
            with bough.allow_interruption:
                function(*args)

        with pipe() as (r, w):
            for function, args, flags in (
                (points, (), {}),
                (read, (r,), {"enable_io_interrupt": True}),
                (bytecode, (), {"enable_async_interrupt": True}),
            ):
                with self.subTest(function.__name__):
                    thread = started(allowing, function, *args, cls=bough.ProtectedThread, **flags)
                    thread.interrupt("test")
                    self.assertExit(thread)

    def test_protected_thread_allows_no_more(self):
        """inside, without enable_io_interrupt, its blocking calls are not interrupted"""

        def run():
            with bough.allow_interruption:
                read(r)

        with pipe() as (r, w):
            self.assertLeftAlone(run, cls=bough.ProtectedThread, end=lambda: os.write(w, b"x"))

    def test_child(self):
        """a branch's child is interrupted at points and in blocking calls"""
        with pipe() as (r, w):
            for function, args in ((points, ()), (read, (r,))):
                with self.subTest(function.__name__), bough.branch() as b:
                    child = b.add(function, *args)
                    child.interrupt("test")
                    child.join()
                    self.assertEqual(child.outcome, "interrupted")

    def test_body(self):
        """a branch's body is interrupted at points and in blocking calls"""

        def body(function, *args):
            with bough.branch():
                function(*args)

        with pipe() as (r, w):
            for function, args in ((points, ()), (read, (r,))):
                with self.subTest(function.__name__):
                    thread = started(body, function, *args)
                    thread.interrupt("test")
                    self.assertExit(thread)

    def test_raised(self):
        """raise_exc() reaches a Thread in blocking calls and in bytecode without any flag, a plain thread in bytecode"""
        with pipe() as (r, w):
            for cls, function, args in (
                (bough.Thread, read, (r,)),
                (bough.Thread, bytecode, ()),
                (bough.ProtectedThread, bytecode, ()),
                (threading.Thread, bytecode, ()),
            ):
                with self.subTest(f"{cls} {function}"):
                    error = KeyError("x")
                    thread = started(function, *args, cls=cls)
                    bough.raise_exc(thread, error)
                    self.assertIs(ended(thread), error)

    def test_raised_not_in_critical_sections(self):
        """raise_exc() does not reach into critical sections"""

        def run(inside, leave):
            with bough.critical_section():
                inside.open()
                while not leave:
                    pass
                leave.append(2)
            bytecode()

        assert_kept_out(self, run)

    def test_overdue_is_reported_once(self):
        """an interrupt that waits on a thread blocked without opt-in is reported once, with the call and its age"""
        steps = []
        bough.on_transition(steps.append)
        bough.set_ladder(times={bough.Rung.FLAG: 0.1})
        try:
            with pipe() as (r, w):
                thread = started(read, r)
                until_blocked(thread)
                thread.interrupt("test")
                until(lambda: steps, "the report")
                self.assertTrue(still_there(thread))
                os.write(w, b"x")
                ended(thread)
        finally:
            bough.set_ladder()
            bough.on_transition(None)
        self.assertEqual([t.after for t in steps if t.after], [1])
        self.assertRegex(steps[0].place, r"read\(\d+")
        self.assertGreaterEqual(steps[0].age, 0.1)


class Arguments(unittest.TestCase):
    def test_points_take_none(self):
        for function in bough.check_interrupt, bough.interruption_requested:
            with self.assertRaisesRegex(TypeError, f"{function.__name__}\\(\\) takes no arguments \\(1 given\\)"):
                function(1)
            with self.assertRaisesRegex(TypeError, "no keyword arguments"):
                function(no=1)


class Interrupts(unittest.TestCase):
    def test_before_start(self):
        """interrupt() before start() takes effect at the start"""
        thread = bough.Thread(target=lambda: seen.append(bough.interruption_requested()) or seen.append(bough.reason().reason))
        seen = []
        thread.interrupt("early")
        thread.start()
        thread.join()
        self.assertEqual(seen, [True, "early"])

    def test_racing_with_start(self):
        """interrupt() that races with start() is never lost"""
        for _ in range(200):
            thread = bough.Thread(target=poll_for, args=(bough.interruption_requested,))
            poster = threading.Thread(target=thread.interrupt)
            poster.start()
            thread.start()
            poster.join()
            thread.join(10)
            self.assertFalse(thread.is_alive())

    def test_after_the_end(self):
        """interrupt() of a thread that has ended has no effect; the function raises an error"""
        thread = started(lambda: None)
        ended(thread)
        thread.interrupt()
        with self.assertRaises(ValueError):
            bough.interrupt(thread)

    def test_requested(self):
        """interruption_requested() reports the interrupt and raises nothing; the record has the poster, the reason and the time"""
        def run():
            poll_for(bough.interruption_requested)
            return bough.reason(), bough.interruption_requested()

        thread = started(run)
        thread.interrupt("first")
        ended(thread)
        record, again = thread.result
        self.assertTrue(again)
        self.assertEqual((record.kind, record.reason, record.source), ("stop", "first", threading.get_native_id()))
        self.assertTrue(0 <= record.age < 10)

    def test_repeats_are_counted(self):
        """the first reason stays, repeats are counted"""
        go = Gate()
        thread = started(lambda: (go.passed(), bough.reason())[1])
        for reason in ("first", "second", None):
            thread.interrupt(reason)
        go.open()
        ended(thread)
        self.assertEqual((thread.result.reason, thread.result.count), ("first", 3))

    def test_all(self):
        """interrupt_all_threads() reaches every thread but the caller, including known threads that never used bough"""
        threads = [started(poll_for, bough.interruption_requested) for _ in range(3)]
        plain = started(poll_for, bough.interruption_requested, cls=threading.Thread)
        until(lambda: bough.interrupt_all_threads("all") >= 4)
        for thread in (*threads, plain):
            ended(thread)
        self.assertFalse(bough.interruption_requested())

    def test_all_reaches_strangers(self):
        """interrupt_all_threads() reaches a plain thread that never used bough: the thread meets the interrupt when it checks"""
        go, running = Gate(), Gate()
        thread = started(lambda: (running.open(), go.passed(), bough.reason())[2], cls=threading.Thread)
        running.passed()
        bough.interrupt_all_threads("all")
        go.open()
        ended(thread)
        self.assertEqual(thread.result.reason, "all")

    def test_stranger_by_ident(self):
        """a plain thread that never used bough, addressed by its ident, meets the interrupt when it checks"""
        go = Gate()
        thread = started(lambda: (go.passed(), bough.reason())[1], cls=threading.Thread)
        bough.interrupt(thread.ident, "by ident")
        go.open()
        ended(thread)
        self.assertEqual(thread.result.reason, "by ident")

    def test_join_asks_for_no_frames(self):
        """an interrupted join checks whether the thread has ended without making a frame object for every thread: garbage could be
        collected then, while the interpreter's list of threads is locked"""
        process = run("-c", """
import sys, threading, bough
from tools import started, ended, until_blocked
asked = []
sys.addaudithook(lambda event, _: event == "sys._current_frames" and asked.append(event))
end = threading.Event()
other = threading.Thread(target=end.wait)
other.start()
joins = started(other.join, enable_io_interrupt=True)
until_blocked(joins)
del asked[:]
joins.interrupt("enough")
print(type(ended(joins)).__name__, other.is_alive(), len(asked))
end.set()
other.join()
print(other.is_alive())
""", path=[Path(__file__).parent])
        self.assertEqual((process.status, process.out), (0, "ThreadExit True 0\nFalse\n"), process)

    def test_while_it_makes_a_thread(self):
        """up to 3.11 a new thread has its creator's ident until it runs: the ident means the creator"""
        inside, go = Gate(), Gate()

        def run():
            client.beside_a_new_state(lambda: (inside.open(), go.passed()))
            return bough.reason()

        thread = started(run)
        inside.passed()
        bough.interrupt(thread.ident, "the maker")
        go.open()
        ended(thread)
        self.assertEqual(thread.result.reason, "the maker")

    def test_raise_exc_while_it_makes_a_thread(self):
        """nor is the exception raised in the new thread"""
        inside, over, meant = Gate(), [], []

        def spin():
            inside.open()
            while not over:
                pass

        def run():
            meant.append(client.beside_a_new_state(spin))
            while True:
                pass

        thread = started(run)
        inside.passed()
        thread.raise_exc(KeyError("the maker"))
        looks = _bough.async_exc_counts()[1]
        until(lambda: meant or not thread.is_alive() or _bough.async_exc_counts()[1] > looks + 5)
        over.append(True)
        self.assertIsInstance(ended(thread), KeyError)
        self.assertNotIn(True, meant)

    def test_next_one_has_nothing(self):
        """no interrupt reaches a thread that gets the ident of a thread that has ended"""
        idents = set()
        for _ in range(100):
            go = Gate()
            thread = started(lambda: (go.passed(), bough.interruption_requested())[1], cls=threading.Thread)
            again = thread.ident in idents
            idents.add(thread.ident)
            if not again:
                bough.interrupt(thread)
            go.open()
            ended(thread)
            self.assertEqual(thread.result, not again)
            if again:
                return
        self.skipTest("no ident was used again")

    def test_self(self):
        """a thread may interrupt itself"""
        def run():
            bough.interrupt(threading.get_ident(), "myself")
            bough.check_interrupt()

        self.assertEqual(ended(started(run)).record.reason, "myself")

    def test_main(self):
        """main is interrupted like any thread, and may clear it"""
        started(bough.interrupt, threading.main_thread(), "main too").join()
        with self.assertRaises(ThreadExit):
            bough.check_interrupt()
        self.assertTrue(bough.clear_interrupt())
        bough.check_interrupt()

    def test_errors(self):
        """a thread that is not alive is a ValueError, an object that is no thread a TypeError"""
        dead = started(lambda: None)
        ended(dead)
        unstarted = bough.Thread()
        for thread in (dead, unstarted, "no name of a thread", 12345, dead.ident if dead.ident not in map_idents() else 12345):
            with self.subTest(thread), self.assertRaises(ValueError):
                bough.interrupt(thread)
        for thread in (None, b"x", 1.5, True, object()):
            with self.subTest(thread), self.assertRaises(TypeError):
                bough.interrupt(thread)
        with self.assertRaises(TypeError):
            bough.interrupt(threading.main_thread(), b"no text")
        self.assertFalse(bough.interruption_requested())


def map_idents():
    return {thread.ident for thread in threading.enumerate()}

if __name__ == "__main__":
    unittest.main()
