# SPDX-License-Identifier: MIT
"""bough.to_thread(): a task that is cancelled interrupts its call, and nothing is lost (rule 45)."""
import asyncio
import contextvars
import unittest
from concurrent.futures import ThreadPoolExecutor

import bough
from tasks import complete_when_interrupted, ends_at_timeout, nothing_is_lost, timeout_that_lost
from tools import Blocked, Gate

try:
    import uvloop

    uvloop.new_event_loop().close()  # libuv keeps a pipe
except ImportError:
    uvloop = None

limit = 60
stays = ("anon_inode:*event*",)


class Tasks(unittest.TestCase):
    def run_task(self, main):
        asyncio.run(main)

    def test_result_and_error(self):
        variable = contextvars.ContextVar("variable", default=0)

        async def main():
            self.assertEqual(await bough.to_thread(divmod, 7, 2), (3, 1))
            self.assertEqual(await bough.to_thread(lambda *, func: func, func=1), 1)
            with self.assertRaises(ZeroDivisionError):
                await bough.to_thread(divmod, 1, 0)
            variable.set(5)
            self.assertEqual(await bough.to_thread(variable.get), 5)
            with self.assertRaisesRegex(TypeError, r"to_thread\(\) func must be a function that is not async"):
                await bough.to_thread(main)

        self.run_task(main())

    def test_cancel(self):
        """The task gets CancelledError when the call has ended"""
        call = Blocked(self)

        async def main():
            task = asyncio.ensure_future(bough.to_thread(call))
            await asyncio.to_thread(call.until_blocked)
            task.cancel("enough")
            with self.assertRaisesRegex(asyncio.CancelledError, "enough"):
                await task
            self.assertEqual(str(call.error), "its task was cancelled")

        self.run_task(main())

    def test_cancel_before_it_begins(self):
        """with all threads of the pool busy: at once, and the call never runs"""
        busy, ran = Blocked(self), []

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(1))
            first = loop.run_in_executor(None, busy)
            task = asyncio.ensure_future(bough.to_thread(ran.append, 1))
            with ThreadPoolExecutor(1) as other:
                await loop.run_in_executor(other, busy.until_blocked)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            busy.go_on()
            await first

        self.run_task(main())
        self.assertEqual(ran, [])

    def test_completed_first(self):
        """Its result is returned, and the cancellation comes at the next await"""
        began = Gate()
        got = []

        async def body():
            got.append(await bough.to_thread(complete_when_interrupted, began))
            await asyncio.sleep(1000)
            got.append("never")

        async def main():
            task = asyncio.ensure_future(body())
            await asyncio.to_thread(began.wait)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(task.cancelling(), 1)

        self.run_task(main())
        self.assertEqual(got, ["result"])

    def test_timeout_that_lost(self):
        timeout_that_lost(self, self.run_task, bough.to_thread)

    def test_timeout(self):
        ends_at_timeout(self, self.run_task, bough.to_thread)

    def test_task_group(self):
        """whose other task fails: the call ends, and the failure is raised"""
        call = Blocked(self)

        async def fails():
            await asyncio.to_thread(call.until_blocked)
            raise ZeroDivisionError

        async def main():
            with self.assertRaises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as group:
                    group.create_task(bough.to_thread(call))
                    group.create_task(fails())
            self.assertEqual([type(e) for e in caught.exception.exceptions], [ZeroDivisionError])
            self.assertIsInstance(call.error, bough.ThreadExit)

        self.run_task(main())

    def test_nothing_is_lost(self):
        """however early or late a wait_for() ends"""

        async def take(get, seconds):
            try:
                return [await asyncio.wait_for(bough.to_thread(get), seconds)]
            except asyncio.TimeoutError:
                return []

        nothing_is_lost(self, lambda main: self.run_task(main()), take)

    def test_pools_opted_in(self):
        bough.opt_in(pools=True)
        self.addCleanup(bough.opt_out)
        self.test_cancel()
        self.test_completed_first()

    def test_a_loop_that_is_interrupted(self):
        """in a child: its calls end with it"""
        call = Blocked(self)
        with bough.branch() as b:
            child = b.add(self.run_task, bough.to_thread(call))
            call.until_blocked()
            child.interrupt("enough")
        self.assertEqual((child.outcome, type(call.error)), ("interrupted", bough.ThreadExit))

    def test_another_interrupt(self):
        """of the call's thread: the task is cancelled"""
        call = Blocked(self)

        async def main():
            task = asyncio.ensure_future(bough.to_thread(call))
            await asyncio.to_thread(call.until_blocked)
            bough.interrupt(call.thread, "enough")
            with self.assertRaisesRegex(asyncio.CancelledError, "enough"):
                await task
            self.assertEqual(await bough.to_thread(divmod, 7, 2), (3, 1))

        self.run_task(main())


@unittest.skipUnless(uvloop, "uvloop is not installed for this interpreter")
class OnUvloop(Tasks):
    def run_task(self, main):
        async def run():
            return await main

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())


if __name__ == "__main__":
    unittest.main()
