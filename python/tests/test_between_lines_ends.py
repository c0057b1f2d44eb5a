# SPDX-License-Identifier: MIT
"""Regression: a thread switch or a Ctrl-C between two lines of the package's code that ends something."""
import functools
import linecache
import signal
import sys
import threading
import time
import unittest
import weakref

import bough
from bough import _bough, _log, _program_end, _signals, ladder
from tools import (
    LIMIT,
    AtLine,
    Blocked,
    Gate,
    Stop,
    ctrl_c,
    ended,
    is_blocked,
    open_what_stays,
    started,
    until,
    until_blocked,
    until_inside,
)

setUpModule = open_what_stays


def two(function, text, *args, call=None):
    """Two threads call function(*args), or call(). The first stops in `function` at this text until the other has ended, or
    waits for the first. Returns the exceptions that have ended them, or None."""
    call, stop = call or functools.partial(function, *args), Stop()

    def first():
        with AtLine(function, (text, stop)):
            call()

    one = started(first)
    stop.until_reached()
    other = started(call)
    until(lambda: not other.is_alive() or is_blocked(other), "the other one has come as far as it can")
    stop.go_on()
    return ended(one), ended(other)


class Callbacks(unittest.TestCase):
    """A Ctrl-C comes at any line of on_interrupt() that calls something: only there the interpreter raises it."""

    def test_ctrl_c_at_each_line(self):
        """The block has ended after that: calls are interrupted, and the callback does not run."""
        left = 1
        while left:
            left = self.at_line(left)

    def at_line(self, number):
        called, count = [], [0]

        def trace(frame, what, arg):
            code = frame.f_code
            if not code.co_qualname.startswith(("on_interrupt.", "_Block.")) or code.co_name == "due":
                return None
            if what == "line" and "(" in linecache.getline(code.co_filename, frame.f_lineno):
                count[0] += 1
                if count[0] == number:
                    ctrl_c()
            return trace

        def run():
            sys.settrace(trace)
            try:
                with bough.on_interrupt(lambda: called.append(1), deadline=LIMIT):
                    pass
            except KeyboardInterrupt:
                count.append("raised")
            finally:
                sys.settrace(None)
            bough.interrupt(threading.get_ident())
            time.sleep(LIMIT)

        with self.subTest(line=number):
            thread = started(run, enable_io_interrupt=True)
            until(lambda: called or not thread.is_alive(), "the sleep is interrupted")
            self.assertEqual(called, [])
            self.assertIsInstance(ended(thread), bough.ThreadExit)
        return number + 1 if "raised" in count else 0


class Executor(unittest.TestCase):
    def test_ctrl_c_while_calls_are_stopped(self):
        """The block is left when they have ended."""
        block = Blocked(self)
        self.addCleanup(block.go_on)
        with AtLine(bough.ThreadPoolExecutor._stop_by, ("for call in", ctrl_c)):
            with self.assertRaises((KeyError, KeyboardInterrupt)), bough.ThreadPoolExecutor(1) as pool:
                future = pool.submit(block)
                block.until_blocked()
                raise KeyError
        self.assertTrue(future.done())


class Instead:
    """Stands in for the module _bough in a file of the package: with other functions."""

    def __init__(self, test, file, **functions):
        test.addCleanup(setattr, file, "_bough", _bough)
        file._bough = self
        vars(self).update(functions)

    def __getattr__(self, name):
        return getattr(_bough, name)


class ProgramEnd(unittest.TestCase):
    """Main and the watching thread of `bough run` interrupt threads at the same time."""

    def setUp(self):
        self.posts, go = [], Gate()
        Instead(self, _signals, post_event=lambda *event: self.posts.append(event))
        self.threads = [started(go.passed, cls=threading.Thread) for _ in range(2)]
        self.addCleanup(lambda: [thread.join() for thread in self.threads])
        self.addCleanup(go.open)
        self.addCleanup(self.end_again)
        self.addCleanup(setattr, _program_end, "_signo", _program_end._signo)
        _program_end._signo = signal.SIGTERM

    def end_again(self):
        _signals._ended = _signals._posted = False
        _signals._may_end[:] = [True]

    def test_one_thread(self):
        self.assertEqual(two(_program_end._interrupt, "_interrupted.add(", self.threads[0]), (None, None))
        self.assertEqual(len(self.posts), 1)

    def test_all_threads(self):
        self.assertEqual(two(_signals.interrupt_all, "_ended = True", "it ends"), (None, None))
        self.assertEqual(len(self.posts), 1)

    def test_a_list_of_the_interrupted_ones(self):
        """One more is interrupted meanwhile."""
        _program_end._interrupt(self.threads[0])
        with AtLine(weakref.WeakSet.__iter__, ("yield", lambda: _program_end._interrupted.add(self.threads[1]))):
            _program_end._end(True)
        self.assertEqual(len(self.posts), 2)


class Watchers(unittest.TestCase):
    def test_one_leaves_and_one_comes(self):
        stop, callbacks = Stop(), []

        def set_on_transition(callback):
            if callback is None and not stop.reached.is_set():
                stop()
            callbacks.append(callback)
            _bough.set_on_transition(callback)

        bough.on_transition(print)
        Instead(self, ladder, set_on_transition=set_on_transition)
        thread = started(bough.on_transition, None)
        stop.until_reached()
        ladder._watch("log", print)
        stop.go_on()
        self.assertIsNone(ended(thread))
        self.assertIsNotNone(callbacks[-1])
        ladder._watch("log", None)
        self.assertIsNone(callbacks[-1])

    def test_two_end_the_log(self):
        bough.log_to()
        self.assertEqual(two(_log._end, "_watch.on_failure = None", call=lambda: bough.log_to(None)), (None, None))


class Joins(unittest.TestCase):
    @unittest.skipIf(sys.version_info >= (3, 13), "join() waits for another lock")
    def test_an_interrupted_one_takes_no_lock(self):
        """Another thread that joins has the lock of the thread that has ended."""
        bough.opt_in()
        go, later, stop = Gate(), Gate(), Stop()
        thread = started(go.passed, cls=threading.Thread)

        def join():
            with AtLine(threading.Thread._wait_for_tstate_lock, ("with _bough.critical_section", stop)):
                thread.join()

        # begins before the end of `thread`, whose ident is free after that
        other = started(lambda: (later.passed(), thread.join()), enable_io_interrupt=True)
        one = started(join, enable_io_interrupt=True)
        go.open()
        stop.until_reached()
        until(lambda: not _bough.has_state(thread.ident), "the thread has ended")
        later.open()
        until_inside(other, thread.join.__func__)
        until_blocked(other)
        other.interrupt()
        self.assertIsInstance(ended(other), bough.ThreadExit)
        stop.go_on()
        self.assertIsNone(ended(one))


class CtrlCWhenTaken:
    """A lock. A Ctrl-C comes when it is taken for the first time."""

    def __init__(self, lock):
        self.lock, self.release, self.comes = lock, lock.release, [ctrl_c]

    def acquire(self, *how):
        taken = self.lock.acquire(*how)
        while self.comes:
            self.comes.pop()()
        return taken


class JoinByOwnLock(unittest.TestCase):
    @unittest.skipIf(sys.version_info < (3, 13), "join() waits for the interpreter's lock")
    def test_a_ctrl_c_when_the_wait_has_ended(self):
        """Another thread, which waits for the same thread, goes on."""
        bough.opt_in()
        go = Gate()
        thread = started(go.passed, cls=threading.Thread)
        thread._bough_end.lock = CtrlCWhenTaken(thread._bough_end.lock)
        both = [started(thread.join, enable_io_interrupt=True) for _ in range(2)]
        for one in both:
            until_blocked(one)
        go.open()
        self.assertEqual({type(ended(one)) for one in both}, {KeyboardInterrupt, type(None)})


if __name__ == "__main__":
    unittest.main()
