# SPDX-License-Identifier: MIT
"""Regression: a thread switch, a Ctrl-C or a garbage collection between two lines of the package's code."""
import contextlib
import gc
import threading
import unittest

import bough
from bough import _bough, _child, _run, _threads, branch
from tools import AtLine, Blocked, Gate, Stop, ctrl_c, ended, open_what_stays, started, until

SECOND_LOOK = " " * 12 + "if self.ident is None:"
setUpModule = open_what_stays


@contextlib.contextmanager
def in_new_threads(tracer):
    threading.settrace(tracer)
    try:
        yield
    finally:
        threading.settrace(None)


class BeforeStart(unittest.TestCase):
    """Thread.interrupt() while the thread is being started."""

    def setUp(self):
        self.reasons = []

    def note_reasons(self):
        while bough.interruption_requested():
            record = bough.reason()
            self.reasons += [record.reason] * record.count
            bough.clear_interrupt()

    def interrupt(self, thread, reason, *pairs):
        def post():
            with AtLine(bough.Thread.interrupt, *pairs):
                thread.interrupt(reason)

        return started(post)

    def test_two_first_posters(self):
        """Both reasons reach the thread."""
        thread, stop = bough.Thread(target=self.note_reasons), Stop()
        poster = self.interrupt(thread, "first", ("self._before_start = ", stop))
        stop.until_reached()
        thread.interrupt("second")
        stop.go_on()
        self.assertIsNone(ended(poster))
        thread.start()
        thread.join()
        self.assertEqual(len(self.reasons), 2, self.reasons)

    def test_the_poster_takes_the_reason(self):
        """The thread has seen a reason in the list, which its poster then takes out of the list."""
        thread, in_list, takes = bough.Thread(target=self.note_reasons), Stop(), Stop()
        poster = self.interrupt(thread, "now", (SECOND_LOOK, in_list))
        in_list.until_reached()
        with in_new_threads(AtLine(bough.Thread._post_what_came_before, ("_bough.interrupt_thread", takes))):
            thread.start()
        takes.until_reached()
        in_list.go_on()
        self.assertIsNone(ended(poster))
        takes.go_on()
        thread.join()
        self.assertEqual(self.reasons, ["now"])

    def test_the_thread_takes_the_reason(self):
        """The poster has seen its reason in the list, which the thread then takes out of the list."""
        thread, in_list, takes = bough.Thread(target=self.note_reasons), Stop(), Stop()
        begins = Stop()
        poster = self.interrupt(thread, "now", (SECOND_LOOK, in_list), ("self._before_start.remove", takes))
        in_list.until_reached()
        with in_new_threads(AtLine(bough.Thread._post_what_came_before, ("while self._before_start", begins))):
            thread.start()
        begins.until_reached()
        in_list.go_on()
        takes.until_reached()
        begins.go_on()
        thread.join()
        takes.go_on()
        self.assertIsNone(ended(poster))
        self.assertEqual(self.reasons, ["now"])


class Started(unittest.TestCase):
    """Thread.start() twice."""

    def setUp(self):
        self.ran = []  # whether the thread has opted in, each time that it has run
        self.thread = bough.Thread(target=lambda: self.ran.append(_bough.takes_part() > 0))
        self.thread.enable_io_interrupt = True

    def test_again_while_it_begins(self):
        begins = Stop()
        with in_new_threads(AtLine(_run.Run.__call__, ("thread, run = ", begins))):
            self.thread.start()
        begins.until_reached()
        with self.assertRaises(RuntimeError):
            self.thread.start()
        begins.go_on()
        self.thread.join()
        self.assertEqual(self.ran, [True])

    def test_again_before_it_begins(self):
        """The second call comes when the thread has not read its run() yet."""
        begins, starter = Stop(), threading.get_ident()

        class Thread(bough.Thread):
            def __getattribute__(self, name):
                if name == "run" and threading.get_ident() != starter:
                    begins()
                return super().__getattribute__(name)

        self.thread.__class__ = Thread
        self.thread.start()
        begins.until_reached()
        with self.assertRaises(RuntimeError):
            self.thread.start()
        begins.go_on()
        self.thread.join()
        self.assertEqual(self.ran, [True])

    def test_ctrl_c_while_it_begins(self):
        """A Ctrl-C ends start()'s wait for the new thread."""
        begins = Stop()
        with in_new_threads(AtLine(_run.Run.__call__, ("thread, run = ", begins))):
            with self.assertRaises(KeyboardInterrupt), AtLine(threading.Thread.start, ("self._started.wait()", ctrl_c)):
                self.thread.start()
        begins.go_on()
        until(lambda: self.ran, "the thread has run")
        self.thread.join()
        self.assertEqual(self.ran, [True])

    def test_again_after_a_failure(self):
        with self.assertRaises(KeyboardInterrupt), AtLine(threading.Thread.start, ("_active_limbo_lock", ctrl_c)):
            self.thread.start()
        self.thread.start()
        self.thread.join()
        self.assertEqual(self.ran, [True])

    def test_by_two_threads(self):
        stop = Stop()

        def start():
            with AtLine(bough.Thread._start, (" " * 12 + "super().start()", stop)):
                self.thread.start()

        one = started(start)
        stop.until_reached()
        try:
            self.thread.start()
            refused = 0
        except RuntimeError:
            refused = 1
        stop.go_on()
        refused += isinstance(ended(one), RuntimeError)
        self.thread.join()
        self.assertEqual((self.ran, refused), ([True], 1))


class Children(unittest.TestCase):
    def test_two_raise_exc(self):
        """Two threads post an exception to the same child: one of them posts both."""
        block, stop = Blocked(self), Stop()
        with branch(supervisor=True) as b:
            child = b.add(block)
            block.until_blocked()

            def post():
                with AtLine(_child.Child._raise_posted, (".pop(0)", stop)):
                    child.raise_exc(KeyError("first"))

            poster = started(post)
            stop.until_reached()
            child.raise_exc(KeyError("second"))
            child.join()
            stop.go_on()
            self.assertIsNone(ended(poster))
        self.assertEqual(child.exception.args, ("first",))

    def test_collection_while_an_event_is_made(self):
        """A garbage collection drops an open branch and waits for its child, whose end sets an Event."""
        begun, go = Gate(), Gate()

        def opens():
            with branch("dropped") as b:
                yield b.add(lambda: (begun.open(), go.passed()))

        def make_garbage():
            cycle = [opens()]
            child = next(cycle[0])
            self.assertFalse(child.join(0))
            begun.passed()
            cycle.append(cycle)

        def collect(event):
            original(event)
            go.open()
            gc.collect()

        original = _child._Ended.__init__
        self.addCleanup(setattr, _child._Ended, "__init__", original)
        gc.disable()
        self.addCleanup(gc.enable)
        with branch() as b:
            other = b.add(go.passed)
            thread = started(make_garbage_and_join, make_garbage, other, collect)
            self.assertIsNone(ended(thread))


def make_garbage_and_join(make_garbage, other, collect):
    make_garbage()
    _child._Ended.__init__ = collect
    other.join()


class Settings(unittest.TestCase):
    """One object of set_enable_...() in several threads."""

    def test_io_by_another_thread_first(self):
        def use():
            setting = bough.set_enable_io_interrupt()
            self.assertIsNone(ended(started(enter, setting, cls=threading.Thread)))
            with setting:
                pass
            return _bough.takes_part()

        thread = started(use, cls=threading.Thread)
        self.assertIsNone(ended(thread))
        self.assertFalse(thread.result)

    def test_async_by_another_thread_first(self):
        def use():
            setting = bough.set_enable_async_interrupt()
            self.assertIsNone(ended(started(enter, setting, cls=threading.Thread)))
            with setting:
                pass
            return _bough.set_asynchronous(False)

        thread = started(use, cls=threading.Thread)
        self.assertIsNone(ended(thread))
        self.assertFalse(thread.result)

    def test_async_left_by_two_threads(self):
        setting, stop, entered = bough.set_enable_async_interrupt(False), Stop(), Gate()

        def last():
            with AtLine(_threads._Async.__exit__, ("_bough.set_asynchronous(", stop)), setting:
                entered.open()

        with setting:
            thread = started(last)
            stop.until_reached()
        stop.go_on()
        self.assertIsNone(ended(thread))

    def test_closer_in_two_threads(self):
        closer, inside, leave = bough.closer(print), Gate(), Gate()

        def stay():
            with closer:
                inside.open()
                leave.passed()

        with closer:
            thread = started(stay)
            inside.passed()
        leave.open()
        self.assertIsNone(ended(thread))


def enter(setting):
    with setting:
        pass


class Errors(unittest.TestCase):
    def test_context_of_an_error_in_a_critical_section(self):
        """An error keeps the exception that it was raised for."""

        def fails():
            try:
                raise KeyError
            except KeyError:
                raise IndexError

        def call():
            try:
                raise ValueError
            except ValueError:
                _bough.around(fails, uninterruptible=True)()

        thread = started(call, enable_io_interrupt=True)
        self.assertIsInstance(ended(thread).__context__, KeyError)


if __name__ == "__main__":
    unittest.main()
