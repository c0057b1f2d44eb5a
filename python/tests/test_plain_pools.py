# SPDX-License-Identifier: MIT
"""Rules 16, 42 and 45: the first Thread or branch changes no pool; opt_in(pools=True) does, also after it."""
import asyncio
import concurrent.futures
import concurrent.futures.thread  # modules that are loaded already are changed at once
import multiprocessing.pool
import threading
import unittest
from concurrent.futures import CancelledError, ThreadPoolExecutor

import bough
from bough import _replace
from tools import LIMIT, Blocked, Gate

limit = 60
stays = ("anon_inode:*event*",)


def of_pools():
    return [name for name in bough.report()["replaced"] if name.startswith(("concurrent.", "multiprocessing.pool."))]


class Plain(unittest.TestCase):
    def setUp(self):
        bough.opt_out()
        with bough.branch():
            pass

    def test_nothing_is_replaced(self):
        self.assertEqual(of_pools(), [])
        self.assertFalse(bough.report()["pools"])
        self.assertIn("pools of threads: as without bough", str(bough.report()))

    def test_cancel(self):
        """of an item that runs returns False, and the item goes on"""
        item = Blocked(self)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(item)
            item.until_blocked()
            self.assertFalse(future.cancel())
            item.go_on()
            self.assertEqual(future.result(LIMIT), b"x")

    def test_wait_for(self):
        """in a program in which a library has opened a branch"""
        item = Blocked(self)

        async def main():
            save = asyncio.ensure_future(asyncio.to_thread(item))
            await asyncio.to_thread(item.until_blocked)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(save, 0)
            item.go_on()

        asyncio.run(main())
        self.assertEqual((item.error, item.read), (None, b"x"))

    def test_wait_for_in_a_child(self):
        """in a child: nor does it change pools there, as the loop's thread has opted in, and was not interrupted"""
        with bough.branch() as b:
            b.add(self.test_wait_for)

    def test_a_loop_that_is_interrupted(self):
        """interrupts the functions that it has given to its threads, and ends"""
        for pool in None, ThreadPoolExecutor(1):
            with self.subTest(pool=pool):
                item = Blocked(self)

                async def main(item=item, pool=pool):
                    await asyncio.get_running_loop().run_in_executor(pool, item)

                with bough.branch() as b:
                    child = b.add(asyncio.run, main())
                    item.until_blocked()
                    child.interrupt("enough")
                if pool is not None:
                    pool.shutdown()  # the loop waits only for its default pool
                self.assertEqual((child.outcome, type(item.error)), ("interrupted", bough.ThreadExit))

    def test_a_loop_whose_thread_is_interrupted_in_a_call(self):
        """a coroutine's blocking call meets the interrupt before the loop does"""
        item, inside = Blocked(self), Blocked(self)

        async def main():
            future = asyncio.get_running_loop().run_in_executor(None, item)
            future.add_done_callback(asyncio.Future.exception)  # or asyncio logs that nothing has retrieved it
            item.until_blocked()
            inside()

        with bough.branch() as b:
            child = b.add(asyncio.run, main())
            inside.until_blocked()
            child.interrupt("enough")
        self.assertEqual((child.outcome, type(inside.error), type(item.error)), ("interrupted", *[bough.ThreadExit] * 2))

    def test_an_item_that_a_loop_has_not_begun(self):
        """when the loop is interrupted never runs"""
        item, ran = Blocked(self), []

        async def main(pool):
            loop = asyncio.get_running_loop()
            await asyncio.gather(loop.run_in_executor(pool, item), loop.run_in_executor(pool, ran.append, 1))

        with ThreadPoolExecutor(1) as pool, bough.branch() as b:
            child = b.add(asyncio.run, main(pool))
            item.until_blocked()
            child.interrupt("enough")
        self.assertEqual((child.outcome, type(item.error), ran), ("interrupted", bough.ThreadExit, []))

    def test_results_and_errors_of_a_loop_in_a_child(self):
        async def main():
            loop = asyncio.get_running_loop()
            self.assertEqual(await asyncio.to_thread(divmod, 7, 2), (3, 1))
            with self.assertRaises(ZeroDivisionError):
                await asyncio.to_thread(divmod, 1, 0)
            with self.assertRaises(TypeError):
                await loop.run_in_executor(None, "no function")
            with concurrent.futures.ProcessPoolExecutor(1) as pool:
                self.assertEqual(await loop.run_in_executor(pool, divmod, 7, 2), (3, 1))

        with bough.branch() as b:
            b.add(asyncio.run, main())

    def test_multiprocessing(self):
        """an interrupt of a ThreadPool's worker does not affect its task"""
        item = Blocked(self)
        with multiprocessing.pool.ThreadPool(1) as pool:
            result = pool.apply_async(item)
            item.until_blocked()
            bough.interrupt(item.thread, "stop")
            item.go_on()
            self.assertEqual(result.get(LIMIT), b"x")

    def test_raise_exc(self):
        """reaches an item in its bytecode; the worker survives, and between two items the exception is dropped"""
        began, seen = Gate(), []

        def compute():
            seen.append(threading.current_thread())
            began.open()
            while True:
                pass

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(compute)
            began.passed()
            bough.raise_exc(seen[0], KeyError)
            with self.assertRaises(KeyError):
                future.result(LIMIT)
            self.assertEqual(pool.submit(threading.current_thread).result(LIMIT), seen[0])

    def test_a_child_gives_a_result(self):
        """Future.set_result() does not fail by an interrupt"""
        future = concurrent.futures.Future()

        def gives():
            bough.current_child().interrupt()
            with future._condition:
                future._condition.notify_all()
            future.set_result(7)

        with bough.branch() as b:
            child = b.add(gives)
        self.assertEqual((future.result(LIMIT), child.outcome), (7, "ok"))


class Widening(unittest.TestCase):
    def setUp(self):
        bough.opt_out()
        self.addCleanup(bough.opt_out)

    def test_once(self):
        self.assertTrue(bough.opt_in())
        self.assertTrue(bough.opt_in(pools=True))
        self.assertFalse(bough.opt_in(pools=True))
        self.assertFalse(bough.opt_in())
        self.assertTrue(bough.report()["pools"])
        self.assertEqual(len(of_pools()), 3)
        bough.opt_out()
        self.assertEqual(of_pools(), [])
        self.assertTrue(bough.opt_in())
        self.assertEqual((of_pools(), bough.report()["pools"]), ([], False))

    def test_a_pool_that_is_there(self):
        """its next items can be cancelled, also by existing futures; an item that already runs can't"""
        first, second = Blocked(self), Blocked(self)
        bough.opt_in()
        with ThreadPoolExecutor(1) as pool:
            running, next = pool.submit(first), pool.submit(second)
            first.until_blocked()
            bough.opt_in(pools=True)
            self.assertFalse(running.cancel())
            first.go_on()
            self.assertEqual(running.result(LIMIT), b"x")
            second.until_blocked()
            self.assertTrue(next.cancel())
            with self.assertRaises(CancelledError):
                next.result(LIMIT)

    def test_an_exception(self):
        """leaves everything unchanged, also later imports"""
        bough.opt_in()
        before = bough.report()["replaced"]
        changes = {name: list(of) for name, of in _replace._follower.changes.items()}
        original, left = _replace.replace, [2]

        def fails(*args):
            left[0] -= 1
            if not left[0]:
                raise KeyError
            return original(*args)

        _replace.replace = fails
        try:
            with self.assertRaises(KeyError):
                bough.opt_in(pools=True)
        finally:
            _replace.replace = original
        self.assertEqual(bough.report()["replaced"], before)
        self.assertEqual(_replace._follower.changes, changes)
        self.assertEqual((bough.report()["opted_in"], bough.report()["pools"]), (True, False))
        self.assertTrue(bough.opt_in(pools=True))
        self.assertEqual(len(of_pools()), 3)

    def test_a_branch_first(self):
        """the program opts its pools in after a library has opened a branch"""
        with bough.branch():
            self.assertTrue(bough.opt_in(pools=True))

    def test_arguments(self):
        for wrong in 1, None, "yes":
            with self.assertRaisesRegex(TypeError, r"opt_in\(\) pools must be True or False, got "):
                bough.opt_in(pools=wrong)
        with self.assertRaises(TypeError):
            bough.opt_in(True)
        self.assertFalse(bough.report()["opted_in"])


if __name__ == "__main__":
    unittest.main()
