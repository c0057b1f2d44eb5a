# SPDX-License-Identifier: MIT
"""bough.ThreadPoolExecutor: its calls can be cancelled while they run; nothing else changes (rule 45)."""
import asyncio
import concurrent.futures
import contextvars
import queue
import threading
import unittest
from concurrent.futures import CancelledError

import bough
from bough import _bough
from process import run
from tools import LIMIT, Blocked, Gate, bytecode, until, until_blocked, until_inside

limit = 60
stays = ("anon_inode:*event*",)

NO_THREAD = """
import _thread, bough, concurrent.futures, threading, time
def call():
    begun.set()
    time.sleep(3600)
begun = threading.Event()
pool = bough.ThreadPoolExecutor(1)
future = pool.submit(call)
begun.wait()
_thread.stack_size(1 << 47)  # no thread has room for that
pool.shutdown(False, cancel_futures=True, grace=3600)
try:
    future.result()
except concurrent.futures.CancelledError:
    print("cancelled")
"""


class Cancel(unittest.TestCase):
    def test_a_call_that_runs(self):
        """is interrupted; the worker takes the next call"""
        call = Blocked(self)
        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.submit(call)
            self.assertIsInstance(future, bough.Future)
            call.until_blocked()
            self.assertTrue(future.running())
            self.assertTrue(future.cancel())
            with self.assertRaises(CancelledError):
                future.result(LIMIT)
            self.assertTrue(future.cancelled())
            self.assertIsInstance(call.error, bough.ThreadExit)
            self.assertEqual(str(call.error), "its future was cancelled")
            self.assertEqual(pool.submit(divmod, 7, 2).result(LIMIT), (3, 1))
            self.assertIs(pool.submit(threading.current_thread).result(LIMIT), call.thread)

    def test_a_call_that_waits(self):
        call, ran = Blocked(self), []
        with bough.ThreadPoolExecutor(1) as pool:
            first, second = pool.submit(call), pool.submit(ran.append, 1)
            call.until_blocked()
            self.assertTrue(second.cancel())
            call.go_on()
            self.assertEqual(first.result(LIMIT), b"x")
        self.assertEqual(ran, [])

    def test_a_call_that_has_ended(self):
        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.submit(divmod, 7, 2)
            future.result(LIMIT)
            self.assertFalse(future.cancel())
            self.assertEqual(future.result(), (3, 1))

    def test_a_call_that_catches_it(self):
        """has a result"""
        began = Gate()

        def stubborn():
            try:
                began.open()
                threading.Event().wait()
            except bough.ThreadExit:
                bough.clear_interrupt()
                return "done"

        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.submit(stubborn)
            began.wait()
            future.cancel()
            self.assertEqual(future.result(LIMIT), "done")

    def test_before_it_begins(self):
        """cancel() comes when the future is running and the call has not begun: it never begins"""
        ran = []

        class Late(bough.Future):
            def set_running_or_notify_cancel(self):
                answer = super().set_running_or_notify_cancel()
                self.answers.append(self.cancel())
                return answer

        with bough.ThreadPoolExecutor(1) as pool:
            call, first = Blocked(self), None
            first = pool.submit(call)
            call.until_blocked()
            second = pool.submit(ran.append, 1)
            second.__class__, second.answers = Late, []
            call.go_on()
            first.result(LIMIT)
            with self.assertRaises(CancelledError):
                second.result(LIMIT)
        self.assertEqual((second.answers, ran), ([True], []))

    def test_other_pools(self):
        """stay as they are: their running calls are not cancelled"""
        call = Blocked(self)
        with bough.ThreadPoolExecutor(1), concurrent.futures.ThreadPoolExecutor(1) as plain:
            future = plain.submit(call)
            call.until_blocked()
            self.assertFalse(future.cancel())
            call.go_on()
            self.assertEqual(future.result(LIMIT), b"x")

    def test_after_pools_are_opted_in(self):
        bough.opt_in(pools=True)
        self.addCleanup(bough.opt_out)
        self.test_a_call_that_runs()
        self.test_a_call_that_waits()

    def test_an_interrupt_by_another_way(self):
        """interrupt() of the worker by its name: the future is cancelled"""
        call = Blocked(self)
        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.options(name="job 7").submit(call)
            call.until_blocked()
            self.assertEqual(call.name, "job 7")
            bough.interrupt("job 7", "enough")
            with self.assertRaises(CancelledError):
                future.result(LIMIT)
            self.assertEqual(str(call.error), "enough")
            self.assertEqual(pool.submit(divmod, 7, 2).result(LIMIT), (3, 1))
            self.assertNotEqual(pool.submit(lambda: threading.current_thread().name).result(LIMIT), "job 7")


class With(unittest.TestCase):
    def test_an_exception(self):
        """out of the block stops the calls, and is raised when they have ended"""
        call, ran = Blocked(self), []
        with self.assertRaises(ZeroDivisionError):
            with bough.ThreadPoolExecutor(1) as pool:
                future, second = pool.submit(call), pool.submit(ran.append, 1)
                call.until_blocked()
                1 / 0
        self.assertTrue(future.cancelled() and second.cancelled())
        self.assertFalse(call.thread.is_alive())
        self.assertEqual(ran, [])

    def test_no_exception(self):
        """waits for the calls"""
        with bough.ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(divmod, i, 2) for i in range(100)]
        self.assertEqual([future.result() for future in futures], [divmod(i, 2) for i in range(100)])

    def test_a_child_that_is_interrupted(self):
        """in the block, or while its end waits"""
        for where in "block", "end":
            with self.subTest(where=where):
                call, threads = Blocked(self), []

                def body(where=where, call=call, threads=threads):
                    threads.append(threading.current_thread())
                    with bough.ThreadPoolExecutor(1) as pool:
                        future = pool.submit(call)
                        if where == "block":
                            future.result()

                with bough.branch() as b:
                    child = b.add(body)
                    call.until_blocked()
                    until_blocked(threads[0])
                    child.interrupt("enough")
                self.assertEqual((child.outcome, type(call.error)), ("interrupted", bough.ThreadExit))
                self.assertFalse(call.thread.is_alive())

    def test_map_that_is_left(self):
        """its remaining calls are cancelled"""
        call = Blocked(self)

        def fails(i):
            if i:
                return call()
            call.until_blocked()
            raise ZeroDivisionError

        with bough.ThreadPoolExecutor(2) as pool:
            with self.assertRaises(ZeroDivisionError):
                list(pool.map(fails, range(2)))
        self.assertIsInstance(call.error, bough.ThreadExit)


class Shutdown(unittest.TestCase):
    def test_at_once(self):
        call = Blocked(self)
        pool = bough.ThreadPoolExecutor(1)
        future = pool.submit(call)
        call.until_blocked()
        pool.shutdown(cancel_futures=True, grace=0)
        self.assertTrue(future.cancelled())
        self.assertFalse(call.thread.is_alive())

    def test_without_grace(self):
        """a running call goes on, as in any pool"""
        call, ran = Blocked(self), []
        pool = bough.ThreadPoolExecutor(1)
        future, second = pool.submit(call), pool.submit(ran.append, 1)
        call.until_blocked()
        pool.shutdown(False, cancel_futures=True)
        call.go_on()
        self.assertEqual(future.result(LIMIT), b"x")
        self.assertTrue(second.cancelled())
        call.thread.join(LIMIT)

    def test_grace(self):
        """is the time that a running call has to end by itself"""
        for grace in 0.05, 1000:
            for wait in True, False:
                with self.subTest(grace=grace, wait=wait):
                    call = Blocked(self)
                    pool = bough.ThreadPoolExecutor(1)
                    future = pool.submit(call)
                    call.until_blocked()
                    stop = threading.Thread(target=lambda: pool.shutdown(wait, cancel_futures=True, grace=grace))
                    stop.start()
                    if grace == 1000:
                        until(lambda: pool._shutdown, "the shutdown")
                        call.go_on()
                        self.assertEqual(future.result(LIMIT), b"x")
                    else:
                        with self.assertRaises(CancelledError):
                            future.result(LIMIT)
                    stop.join()
                    call.thread.join(LIMIT)
                    self.assertFalse(call.thread.is_alive())

    def test_grace_without_a_thread(self):
        """for its timer: the running calls are interrupted at once"""
        process = run("-c", NO_THREAD)
        self.assertEqual((process.out, process.err), ("cancelled\n", ""), str(process))

    def test_timers(self):
        """of a grace end with the pool's threads"""
        call = Blocked(self)
        pool = bough.ThreadPoolExecutor(1)
        pool.submit(call)
        call.until_blocked()
        pool.shutdown(False, cancel_futures=True, grace=1000)
        call.go_on()
        call.thread.join(LIMIT)
        until(lambda: not any(t.name == "bough-shutdown" for t in threading.enumerate()), "the timer's end")

    def test_mistakes(self):
        with bough.ThreadPoolExecutor(1) as pool:
            for arguments, error, text in [
                ({"grace": 5}, ValueError, "shutdown() grace is the time .* Add cancel_futures=True, or leave grace out"),
                ({"cancel_futures": True, "grace": "5"}, TypeError, "shutdown() grace must be a number of seconds"),
                ({"cancel_futures": True, "grace": -1}, ValueError, "shutdown() grace must be"),
            ]:
                with self.assertRaisesRegex(error, text.replace("()", r"\(\)")):
                    pool.shutdown(**arguments)
            self.assertEqual(pool.submit(divmod, 7, 2).result(LIMIT), (3, 1))

            async def coroutine_function():
                pass

            with self.assertRaisesRegex(TypeError, r"submit\(\) fn must be a function that is not async"):
                pool.submit(coroutine_function)
            with self.assertRaisesRegex(ValueError, r"options\(\) timeout must be a number of seconds, more than 0"):
                pool.options(timeout=0)
            with self.assertRaisesRegex(TypeError, r"options\(\) name must be text"):
                pool.options(name=7)


class Asynchronous(unittest.TestCase):
    """raise_exc() of the worker"""

    def test_a_call_that_computes(self):
        """is ended by the exception, and its worker goes on"""
        threads, error = [], KeyError("x")

        def computes():
            threads.append(threading.current_thread())
            bytecode()

        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.submit(computes)
            until(lambda: threads, "the call's begin")
            until_inside(threads[0], bytecode)
            bough.raise_exc(threads[0], error)
            self.assertIs(future.exception(LIMIT), error)
            error.__traceback__ = None
            self.assertIs(pool.submit(threading.current_thread).result(LIMIT), threads[0])

    def test_a_callback(self):
        """of a future, on the worker, is not"""
        inside, seen, leave, go = Gate(), [], [], Gate()

        def callback(future):
            inside.open()
            while not leave:
                pass
            seen.append(future.result())

        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: go.passed() or threading.current_thread())
            future.add_done_callback(callback)
            go.open()
            inside.passed()
            bough.raise_exc(future.result(), KeyError)
            looks = _bough.async_exc_counts()[1]
            until(lambda: _bough.async_exc_counts()[1] > looks + 5, "looks at the worker")
            leave.append(True)
            self.assertIs(pool.submit(threading.current_thread).result(LIMIT), future.result())
        self.assertEqual(seen, [future.result()])


class Futures(unittest.TestCase):
    """A future makes its condition at the first request. When that is makes no difference to other threads."""

    def test_asked_at_any_time(self):
        """wait(), result(), callbacks and cancel(), while calls begin and end"""
        for _ in range(20):
            called = []
            with bough.ThreadPoolExecutor(2) as pool:
                futures = [pool.submit(divmod, i, 2) for i in range(200)]
                for future in futures[::3]:
                    future.add_done_callback(called.append)
                cancelled = [future for future in futures[1::3] if future.cancel() and future.cancelled()]
                done = concurrent.futures.wait(futures, LIMIT).done
            self.assertEqual(len(done), 200)
            self.assertEqual(len(called), len(futures[::3]))
            for i, future in enumerate(futures):
                if future not in cancelled:
                    self.assertEqual(future.result(), divmod(i, 2))

    def test_attributes(self):
        """those that a concurrent.futures.Future begins with"""
        self.assertEqual([name for name in vars(concurrent.futures.Future()) if not hasattr(bough.Future(), name)], [])

    def test_a_pool_with_all_its_threads(self):
        """refuses calls after its shutdown"""
        pool = bough.ThreadPoolExecutor(1)
        pool.submit(abs, 1).result(LIMIT)
        self.assertEqual(len(pool._threads), 1)
        pool.shutdown()
        with self.assertRaisesRegex(RuntimeError, "cannot schedule new futures after shutdown"):
            pool.submit(abs, 1)
        with self.assertRaisesRegex(RuntimeError, "cannot schedule new futures after shutdown"):
            pool.options(name="x").submit(abs, 1)

    def test_by_hand(self):
        """as concurrent.futures.Future"""
        for make in bough.Future, concurrent.futures.Future:
            with self.subTest(make):
                future, called = make(), []
                future.mine = 1
                self.assertEqual((future.done(), future.running(), future.cancelled()), (False, False, False))
                future.add_done_callback(called.append)
                self.assertTrue(future.set_running_or_notify_cancel())
                self.assertTrue(future.running())
                with self.assertLogs("concurrent.futures"), self.assertRaises(RuntimeError):
                    future.set_running_or_notify_cancel()
                future.set_result(7)
                self.assertEqual((future.result(), future.result(timeout=0), future.exception()), (7, 7, None))
                self.assertEqual(called, [future])
                with self.assertRaises(concurrent.futures.InvalidStateError):
                    future.set_result(8)
                future = make()
                self.assertTrue(future.cancel())
                self.assertFalse(future.set_running_or_notify_cancel())
                with self.assertRaises(CancelledError):
                    future.result()
                with self.assertRaises(TimeoutError):
                    make().result(timeout=0)
                with self.assertRaises(TypeError):
                    make(1)


class Options(unittest.TestCase):
    def test_timeout(self):
        """of a call that has an argument `timeout`"""

        def wait(timeout):
            threading.Event().wait(timeout)

        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.options(timeout=0.05, name="save").submit(wait, timeout=1000)
            with self.assertRaisesRegex(TimeoutError, "the deadline of save has passed"):
                future.result(LIMIT)
            self.assertEqual(pool.options(timeout=1000).submit(divmod, 7, 2).result(LIMIT), (3, 1))

    def test_map(self):
        with bough.ThreadPoolExecutor(2) as pool:
            names = pool.options(name="job").map(lambda i: (i, threading.current_thread().name), range(5))
            self.assertEqual(list(names), [(i, "job") for i in range(5)])

    def test_options_of_options(self):
        with bough.ThreadPoolExecutor(1) as pool:
            options = pool.options(name="job").options(timeout=0.05)
            self.assertIn("options(timeout=0.05, name='job') of ", repr(options))
            future = options.submit(threading.Event().wait)
            with self.assertRaisesRegex(TimeoutError, "the deadline of job has passed"):
                future.result(LIMIT)

    def test_a_name_that_the_call_changes(self):
        """ends with the call"""
        with bough.ThreadPoolExecutor(1, "pool") as pool:
            pool.options(name="job").submit(lambda: setattr(threading.current_thread(), "name", "x")).result(LIMIT)
            self.assertEqual(pool.submit(lambda: threading.current_thread().name).result(LIMIT), "pool_0")


class AsOthers(unittest.TestCase):
    def test_initializer_and_context(self):
        """what the initializer has set in its thread, and a context that a call runs in"""
        variable = contextvars.ContextVar("variable", default=0)
        with bough.ThreadPoolExecutor(1, initializer=variable.set, initargs=(7,)) as pool:
            self.assertEqual(pool.submit(variable.get).result(LIMIT), 7)
            variable.set(8)
            self.assertEqual(pool.submit(contextvars.copy_context().run, variable.get).result(LIMIT), 8)
            self.assertEqual(pool.submit(variable.get).result(LIMIT), 7)

    def test_wait_and_as_completed(self):
        """see a running call that was cancelled"""
        call = Blocked(self)
        with bough.ThreadPoolExecutor(1) as pool:
            future, called = pool.submit(call), Gate()
            future.add_done_callback(lambda _: called.open())
            call.until_blocked()
            future.cancel()
            self.assertEqual(list(concurrent.futures.as_completed([future], LIMIT)), [future])
            self.assertEqual(concurrent.futures.wait([future], LIMIT).done, {future})
            called.wait()

    def test_asyncio(self):
        """as its default executor: a task that is cancelled interrupts its call"""
        call = Blocked(self)

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_default_executor(bough.ThreadPoolExecutor(2))
            task = asyncio.ensure_future(asyncio.to_thread(call))
            await asyncio.to_thread(call.until_blocked)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.assertIsInstance(call.error, bough.ThreadExit)

    def test_error(self):
        with bough.ThreadPoolExecutor(1) as pool:
            future = pool.submit(divmod, 1, 0)
            self.assertIsInstance(future.exception(LIMIT), ZeroDivisionError)
            self.assertFalse(future.cancelled())

    def test_sys_exit(self):
        """of a call's is its failure, not a stop"""
        with bough.ThreadPoolExecutor(1) as pool:
            self.assertIsInstance(pool.submit(exit, 3).exception(LIMIT), SystemExit)


class Loss(unittest.TestCase):
    def test_cancel_at_any_moment(self):
        """an item taken from the queue is in the future's result, or still in the queue"""
        items, got = queue.SimpleQueue(), []
        with bough.ThreadPoolExecutor(4) as pool:
            for i in range(500):
                future = pool.submit(items.get)
                items.put(i)
                if i % 2:
                    future.cancel()
                try:
                    got.append(future.result(LIMIT))
                except CancelledError:
                    pass
        while not items.empty():
            got.append(items.get())
        self.assertEqual(sorted(got), list(range(500)))
