# SPDX-License-Identifier: MIT
"""bough.trio.run_sync() and bough.anyio.run_sync(): a task that is cancelled interrupts its call, and nothing is lost (rule 45)."""
import asyncio
import unittest
from concurrent.futures import ThreadPoolExecutor

import bough
from tasks import complete_when_interrupted, ends_at_timeout, nothing_is_lost, timeout_that_lost
from tools import Blocked, Gate

try:
    import anyio
    import trio

    import bough.anyio
    import bough.trio

    trio._core._thread_cache.IDLE_TIMEOUT = 0.05  # seconds, after which a thread without work ends
except ImportError:
    anyio = trio = None
try:
    import uvloop

    uvloop.new_event_loop().close()  # libuv keeps a pipe
except ImportError:
    uvloop = None

limit = 60
stays = ("anon_inode:*event*",)


@unittest.skipUnless(trio, "trio and anyio are not installed for this interpreter")
class Trio(unittest.TestCase):
    def setUp(self):
        self.run_sync, self.move_on_after, self.scope = bough.trio.run_sync, trio.move_on_after, trio.CancelScope
        self.sleep, self.checkpoint, self.group = trio.sleep, trio.lowlevel.checkpoint, trio.open_nursery

    def run_main(self, main):
        trio.run(main)

    async def cancel_when(self, condition, scope):
        while not condition():
            await self.sleep(0.001)
        scope.cancel()

    def test_result_and_error(self):
        async def main():
            self.assertEqual(await self.run_sync(divmod, 7, 2), (3, 1))
            with self.assertRaises(ZeroDivisionError):
                await self.run_sync(divmod, 1, 0)
            with self.assertRaisesRegex(TypeError, r"run_sync\(\) sync_fn must be a function that is not async"):
                await self.run_sync(main)

        self.run_main(main)

    def test_cancel(self):
        call = Blocked(self)

        async def main():
            async with self.group() as group:
                with self.scope() as scope:
                    group.start_soon(self.cancel_when, call.is_blocked, scope)
                    await self.run_sync(call)
            self.assertIsInstance(call.error, bough.ThreadExit)

        self.run_main(main)

    def test_completed_first(self):
        """Its result is returned, and the cancellation comes at the next checkpoint"""
        began, got = Gate(), []

        async def main():
            async with self.group() as group:
                with self.scope() as scope:
                    group.start_soon(self.cancel_when, began.is_set, scope)
                    got.append(await self.run_sync(complete_when_interrupted, began))
                    await self.checkpoint()
                    got.append("never")

        self.run_main(main)
        self.assertEqual(got, ["result"])

    def test_shielded_meanwhile(self):
        """by a scope between the cancelled scope and the call: the interrupt's exception is raised"""
        call, gate, behind = Blocked(self), Gate(), []

        def late():
            try:
                call()
            finally:
                with bough.critical_section(1000):
                    gate.passed()

        async def shield(outer, inner):
            await self.cancel_when(call.is_blocked, outer)
            while call.error is None:
                await self.sleep(0.001)
            inner.shield = True
            gate.open()

        async def main():
            async with self.group() as group:
                with self.scope() as outer:
                    with self.scope() as inner:
                        group.start_soon(shield, outer, inner)
                        await self.run_sync(late)
                    behind.append(outer)

        self.run_main(main)
        self.assertEqual(behind, [])

    def test_nothing_is_lost(self):
        async def take(get, seconds):
            got = []
            with self.move_on_after(seconds):
                got.append(await self.run_sync(get))
            return got

        nothing_is_lost(self, self.run_main, take)


@unittest.skipUnless(anyio, "trio and anyio are not installed for this interpreter")
class Anyio(Trio):
    options = {"backend": "asyncio"}

    def setUp(self):
        self.run_sync, self.move_on_after, self.scope = bough.anyio.run_sync, anyio.move_on_after, anyio.CancelScope
        self.sleep, self.checkpoint, self.group = anyio.sleep, anyio.lowlevel.checkpoint, anyio.create_task_group

    def run_main(self, main):
        anyio.run(main, **self.options)


class AnyioOnTrio(Anyio):
    options = {"backend": "trio"}


@unittest.skipUnless(anyio, "trio and anyio are not installed for this interpreter")
class Native(unittest.TestCase):
    """Task.cancel() of asyncio's, without a scope of anyio's, or beside one."""

    options = {"backend": "asyncio"}

    def cancelled(self, call, scoped=False, until=None):
        """Cancels a task's run_sync(call). Returns the task's exception, the result of its next await, and its end."""
        got, began = [], until or call.until_blocked

        async def body():
            with anyio.CancelScope() as scope:
                got.append(scope)
                got.append(await bough.anyio.run_sync(call))
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError as error:
                got.append(error.args)
                raise

        async def main():
            task = asyncio.ensure_future(body())
            await asyncio.to_thread(began)
            if scoped:
                got[0].cancel()
                await asyncio.sleep(0)
            task.cancel("enough")
            with self.assertRaises(asyncio.CancelledError) as caught:
                await task
            got.append(caught.exception.args)

        anyio.run(main, **self.options)
        return got[1:]

    def test_cancel(self):
        """the message is the canceller's"""
        call = Blocked(self)
        self.assertEqual(self.cancelled(call), [("enough",)])
        self.assertEqual(str(call.error), "its task was cancelled")

    def test_completed_first(self):
        began = Gate()
        got = self.cancelled(lambda: complete_when_interrupted(began), until=began.wait)
        self.assertEqual(got, ["result", ("enough",), ("enough",)])

    def test_beside_a_scope(self):
        """both count: the scope's block ends, and the task is cancelled at its next await"""
        self.assertEqual(self.cancelled(Blocked(self), scoped=True), [("enough",), ("enough",)])

    def run_task(self, main):
        async def run():
            return await main

        anyio.run(run, **self.options)

    def test_timeout(self):
        ends_at_timeout(self, self.run_task, bough.anyio.run_sync)

    def test_timeout_that_lost(self):
        timeout_that_lost(self, self.run_task, bough.anyio.run_sync)

    def test_a_call_that_waits_for_its_turn(self):
        """is not begun"""
        busy, ran = Blocked(self), []

        async def main():
            limiter = anyio.CapacityLimiter(1)
            first = asyncio.ensure_future(bough.anyio.run_sync(busy, limiter=limiter))
            with ThreadPoolExecutor(1) as other:
                await asyncio.get_running_loop().run_in_executor(other, busy.until_blocked)
            task = asyncio.ensure_future(bough.anyio.run_sync(ran.append, 1, limiter=limiter))
            while not limiter.statistics().tasks_waiting:
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            busy.go_on()
            await first

        anyio.run(main, **self.options)
        self.assertEqual(ran, [])


@unittest.skipUnless(anyio and uvloop, "anyio or uvloop is not installed for this interpreter")
class AnyioOnUvloop(Anyio):
    options = {"backend": "asyncio", "backend_options": {"use_uvloop": True}}


@unittest.skipUnless(anyio and uvloop, "anyio or uvloop is not installed for this interpreter")
class NativeOnUvloop(Native):
    options = AnyioOnUvloop.options


if __name__ == "__main__":
    unittest.main()
