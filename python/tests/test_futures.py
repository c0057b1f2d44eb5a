# SPDX-License-Identifier: MIT
"""Rule 45: ThreadExit stays inside. Futures become cancelled, tasks get CancelledError, workers of pools survive."""
import asyncio
import concurrent.futures
import gc
import logging
import multiprocessing.pool
import multiprocessing.resource_tracker
import os
import threading
import time
import unittest
from concurrent.futures import CancelledError, ThreadPoolExecutor

import bough
from bough import ThreadExit, branch

limit = 60
stays = ("anon_inode:*event*",)
SCALE = float(os.environ.get("T_SCALE", 1))
ENOUGH = 20 * SCALE


def setUpModule():
    bough.opt_in(pools=True)


def until(true):
    end = time.monotonic() + ENOUGH
    while not true():
        if time.monotonic() > end:
            raise AssertionError("what was waited for did not come")
        time.sleep(0.001)


class Item:
    """A call that blocks. Records its result and its thread."""

    def __init__(self, catch=False):
        self.began, self.thread, self.error, self.catch = threading.Event(), None, None, catch

    def __call__(self):
        self.thread = threading.current_thread()
        self.began.set()
        try:
            time.sleep(ENOUGH * 3)
        except BaseException as error:
            self.error = error
            if not self.catch:
                raise
        return "caught"


class Executors(unittest.TestCase):
    def setUp(self):
        self.pool = ThreadPoolExecutor(1)

    def tearDown(self):
        self.pool.shutdown()

    def worker_is(self, thread):
        """Checks that the worker has survived, and that no interrupt and no setting of the item is left."""

        def look():
            time.sleep(0.001)
            bough.check_interrupt()
            return threading.current_thread(), bough.interruption_requested(), bough.reason()

        self.assertEqual(self.pool.submit(look).result(ENOUGH), (thread, False, None))

    def test_cancel(self):
        """of an item that runs: posts, returns True, and the future becomes cancelled"""
        item = Item()
        future = self.pool.submit(item)
        item.began.wait()
        called = []
        future.add_done_callback(called.append)
        self.assertTrue(future.cancel())
        with self.assertRaises(CancelledError):
            future.result(ENOUGH)
        self.assertTrue(future.cancelled() and future.done() and not future.running())
        until(lambda: called)  # after the waiters for the result were notified
        self.assertEqual(called, [future])
        self.assertIsInstance(item.error, ThreadExit)
        self.assertEqual(item.error.record.reason, "its future was cancelled")
        self.assertTrue(future.cancel())
        self.worker_is(item.thread)

    def test_cancel_caught(self):
        """an item that catches it has a result"""
        item = Item(catch=True)
        future = self.pool.submit(item)
        item.began.wait()
        self.assertTrue(future.cancel())
        self.assertEqual(future.result(ENOUGH), "caught")
        self.assertFalse(future.cancelled())
        self.assertFalse(future.cancel())
        self.worker_is(item.thread)

    def test_cancel_pending(self):
        """as before: it never runs"""
        item = Item()
        running, pending = self.pool.submit(item), self.pool.submit(self.fail)
        item.began.wait()
        self.assertTrue(pending.cancel())
        self.assertTrue(pending.cancelled())
        running.cancel()
        with self.assertRaises(CancelledError):
            pending.result()
        self.worker_is(item.thread)

    def test_cancel_ended(self):
        future = self.pool.submit(int)
        self.assertEqual(future.result(), 0)
        self.assertFalse(future.cancel())

    def test_cancel_at_any_moment(self):
        """no interrupt stays with the worker, whatever state the item is in"""
        ends = {"result": 0, "cancelled": 0}
        for n in range(1000):
            future = self.pool.submit(time.sleep, 0)
            for _ in range(n % 7):
                time.sleep(0)
            future.cancel()
            try:
                future.result(ENOUGH)
                ends["result"] += 1
            except CancelledError:
                ends["cancelled"] += 1
            self.assertEqual(self.pool.submit(time.sleep, 0.00001).result(ENOUGH), None)
        self.assertTrue(ends["cancelled"], ends)

    def test_interrupt_of_the_worker(self):
        """by its ident: the item is cancelled, the worker goes on"""
        item = Item()
        future = self.pool.submit(item)
        item.began.wait()
        bough.interrupt(item.thread, "stop")
        with self.assertRaises(CancelledError):
            future.result(ENOUGH)
        self.worker_is(item.thread)
        bough.interrupt(item.thread, "between two items")
        self.worker_is(item.thread)

    def test_check_interrupt(self):
        """an item that computes"""
        began = threading.Event()

        def compute():
            began.set()
            while True:
                bough.check_interrupt()

        future = self.pool.submit(compute)
        began.wait()
        future.cancel()
        with self.assertRaises(CancelledError):
            future.result(ENOUGH)

    def test_raise_exc(self):
        """the very instance is the future's exception; terminate() cancels; between two items it reaches nothing"""
        for post, end in (ValueError("x"), ValueError), (SystemExit, CancelledError):
            item = Item()
            future = self.pool.submit(item)
            item.began.wait()
            bough.raise_exc(item.thread, post)
            with self.assertRaises(end) as caught:
                future.result(ENOUGH)
            self.assertIs(caught.exception if end is ValueError else post, post)
            self.worker_is(item.thread)
        bough.raise_exc(item.thread, ValueError)
        time.sleep(0.15)
        self.worker_is(item.thread)

    def test_errors_are_as_ever(self):
        error = ValueError()

        def fail(error):
            raise error

        self.assertIs(self.pool.submit(fail, error).exception(), error)
        self.assertIsInstance(self.pool.submit(fail, SystemExit(3)).exception(), SystemExit)
        self.assertEqual(list(self.pool.map(abs, [-1, 2])), [1, 2])

    def test_wait_and_as_completed(self):
        """recognise an item that was cancelled while it ran"""
        item = Item()
        future = self.pool.submit(item)
        item.began.wait()
        future.cancel()
        self.assertEqual(concurrent.futures.wait([future], ENOUGH).done, {future})
        item = Item()
        future = self.pool.submit(item)
        item.began.wait()
        threading.Timer(0.02, future.cancel).start()
        self.assertEqual(list(concurrent.futures.as_completed([future], ENOUGH)), [future])

    def test_branch_in_an_item(self):
        """its children are interrupted with it"""
        children, item = [], Item()

        def nested():
            with branch() as b:
                children.append(b.add(item))
            bough.check_interrupt()

        future = self.pool.submit(nested)
        item.began.wait()
        future.cancel()
        with self.assertRaises(CancelledError):
            future.result(ENOUGH)
        self.assertEqual(children[0].outcome, "interrupted")

    def test_result_is_interruptible(self):
        """for a child that waits for a future, which goes on"""
        item = Item()
        future = self.pool.submit(item)
        item.began.wait()
        with branch() as b:
            child = b.add(future.result)
            child.interrupt()
        self.assertEqual((child.outcome, future.running()), ("interrupted", True))
        future.cancel()

    def test_all_threads(self):
        """interrupt_all_threads() cancels running items, and no others"""
        item = Item()
        future = self.pool.submit(item)
        item.began.wait()
        bough.interrupt_all_threads()
        with self.assertRaises(CancelledError):
            future.result(ENOUGH)
        self.worker_is(item.thread)

    def test_no_cycles(self):
        def fail():
            raise ValueError

        def work():
            for function in int, fail:
                self.pool.submit(function).exception()
            item = Item()
            future = self.pool.submit(item)
            item.began.wait()
            future.cancel()
            concurrent.futures.wait([future])
            item.error = None
            item.thread = None

        work()
        self.pool.submit(int).result()
        gc.collect()
        gc.disable()
        try:
            work()
            self.pool.submit(int).result()
            self.assertEqual(gc.collect(), 0)
        finally:
            gc.enable()

    def test_report_and_undo(self):
        self.assertIn("concurrent.futures.thread._WorkItem.run", bough.report()["replaced"])
        self.assertIn("concurrent.futures._base.Future.cancel", bough.report()["replaced"])
        bough.opt_out()
        try:
            self.assertNotIn("_bough", concurrent.futures.thread._WorkItem.run.__code__.co_names)
            self.assertEqual(concurrent.futures.Future.cancel.__module__, "concurrent.futures._base")
            gate = threading.Event()
            future = self.pool.submit(gate.wait)
            until(future.running)
            self.assertFalse(future.cancel())
            gate.set()
            self.assertTrue(future.result())
        finally:
            bough.opt_in(pools=True)


class Asyncio(unittest.TestCase):
    def test_to_thread(self):
        """a task's cancellation reaches the thread; the task gets CancelledError"""
        item = Item()

        async def main():
            task = asyncio.create_task(asyncio.to_thread(item))
            await asyncio.to_thread(item.began.wait)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertTrue(task.cancelled())

        begin = time.monotonic()
        asyncio.run(main())  # waits for the executor's threads
        self.assertIsInstance(item.error, ThreadExit)
        self.assertLess(time.monotonic() - begin, ENOUGH)

    def test_timeout(self):
        item = Item()

        async def main():
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(None) as timeout:
                    task = asyncio.create_task(asyncio.to_thread(item))
                    await asyncio.to_thread(item.began.wait)
                    timeout.reschedule(asyncio.get_running_loop().time() + 0.05)
                    await task

        asyncio.run(main())
        self.assertIsInstance(item.error, ThreadExit)

    def test_interrupted_thread_cancels_the_task(self):
        """ThreadExit of a to_thread() function is a CancelledError for the task that awaits it"""
        item = Item()

        async def main():
            task = asyncio.create_task(asyncio.to_thread(item))
            await asyncio.to_thread(item.began.wait)
            bough.interrupt(item.thread)
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())

    def test_run_in_executor(self):
        item = Item()

        async def main(pool):
            future = asyncio.get_running_loop().run_in_executor(pool, item)
            while not item.began.is_set():
                await asyncio.sleep(0.001)
            future.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await future

        with ThreadPoolExecutor(1) as pool:
            asyncio.run(main(pool))
            self.assertEqual(pool.submit(threading.current_thread).result(), item.thread)

    def run_in_child(self, main, waiting):
        """Calls asyncio.run() in a child that is interrupted while its loop waits, or is about to wait."""
        with branch() as b:
            child = b.add(asyncio.run, main())
            waiting.wait()
            child.interrupt("stop")
        return child

    def test_run_in_a_child(self):
        """the interrupt ends the loop's select; asyncio.run() cleans up as for Ctrl-C"""
        waiting, cleaned = threading.Event(), []

        async def task():
            try:
                waiting.set()
                await asyncio.sleep(ENOUGH * 3)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
                cleaned.append("task")
                raise

        async def main():
            other = asyncio.create_task(task())
            try:
                await asyncio.sleep(ENOUGH * 3)
            finally:
                await asyncio.sleep(0.01)
                cleaned.append("main")
                del other

        child = self.run_in_child(main, waiting)
        self.assertEqual((child.outcome, sorted(cleaned)), ("interrupted", ["main", "task"]))

    def test_run_in_a_child_with_threads(self):
        """whose to_thread() calls end with it"""
        item = Item()

        async def main():
            await asyncio.to_thread(item)

        begin = time.monotonic()
        child = self.run_in_child(main, item.began)
        self.assertEqual(child.outcome, "interrupted")
        self.assertIsInstance(item.error, ThreadExit)
        self.assertLess(time.monotonic() - begin, 4 * SCALE)  # not by a second delivery after the grace period

    def test_task_group_in_a_child(self):
        """it raises a stop, also as a group"""
        waiting = threading.Event()

        async def blocks():
            waiting.set()
            time.sleep(ENOUGH * 3)

        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(blocks())
                group.create_task(asyncio.sleep(ENOUGH * 3))

        logging.disable()  # asyncio logs a task that ended by any SystemExit
        try:
            self.assertEqual(self.run_in_child(main, waiting).outcome, "interrupted")
            gc.collect()
        finally:
            logging.disable(logging.NOTSET)

    def test_run_coroutine_threadsafe(self):
        """its future is cancelled as without bough"""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        began, ended = threading.Event(), threading.Event()

        async def sleep():
            began.set()
            try:
                await asyncio.sleep(ENOUGH * 3)
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(sleep(), loop)
        began.wait()
        self.assertTrue(future.cancel())
        ended.wait()
        with self.assertRaises(CancelledError):
            future.result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class ThreadPools(unittest.TestCase):
    def test_worker_survives(self):
        """of multiprocessing.pool: the call fails with CancelledError, others go on"""
        bough.opt_in(pools=True)  # the module was imported before this
        # from 3.14 on a pool starts the resource tracker
        self.addCleanup(multiprocessing.resource_tracker._resource_tracker._stop)
        with multiprocessing.pool.ThreadPool(1) as pool:
            item = Item()
            result = pool.apply_async(item)
            item.began.wait()
            bough.interrupt(item.thread, "stop")
            with self.assertRaisesRegex(CancelledError, "stop"):
                result.get(ENOUGH)
            self.assertEqual(pool.apply(threading.current_thread), item.thread)
            self.assertEqual(pool.map(abs, [-1, -2, 3], chunksize=2), [1, 2, 3])
            with self.assertRaises(ZeroDivisionError):
                pool.apply(divmod, (1, 0))
            pool.close()
            pool.join()


if __name__ == "__main__":
    unittest.main()
