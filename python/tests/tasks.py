# SPDX-License-Identifier: MIT
"""Calls in other threads that tasks of event loops make, and checks of them."""
import asyncio
import queue
import threading
import time

import bough
from tools import Blocked, Gate

ITEMS = 300


def complete_when_interrupted(began):
    """A call that returns a result although it is interrupted."""
    with bough.critical_section(1000):
        began.open()
        while bough.reason() is None:
            time.sleep(0.001)
    return "result"


def ends_at_timeout(test, run, in_thread):
    """asyncio.timeout() ends the call. run(main) runs a coroutine; in_thread(function, *args) makes a call in a thread."""
    call = Blocked(test)

    async def main():
        loop = asyncio.get_running_loop()
        with test.assertRaises(TimeoutError):
            async with asyncio.timeout(1000) as limit:
                blocked = asyncio.ensure_future(asyncio.to_thread(call.until_blocked))
                blocked.add_done_callback(lambda _: limit.reschedule(loop.time() + 0.05))
                await in_thread(call)
        test.assertIsInstance(call.error, bough.ThreadExit)
        test.assertEqual(asyncio.current_task().cancelling(), 0)
        await asyncio.sleep(0)

    run(main())


def timeout_that_lost(test, run, in_thread):
    """asyncio.timeout() around a call that has completed: no cancellation comes after the block"""
    began = Gate()

    async def main():
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(1000) as limit:
            task = asyncio.ensure_future(asyncio.to_thread(began.wait))
            task.add_done_callback(lambda _: limit.reschedule(loop.time() - 1))
            result = await in_thread(complete_when_interrupted, began)
        for _ in range(10):
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        test.assertEqual((result, asyncio.current_task().cancelling()), ("result", 0))

    run(main())


def nothing_is_lost(test, run, take):
    """Each item is in a result or still in the queue. run(main) runs a coroutine function. take(get, seconds) is a
    coroutine function that calls get() in another thread with that timeout, and returns a list with its item, or an
    empty one."""
    items, got = queue.SimpleQueue(), []

    async def main():
        for i in range(ITEMS):
            put = threading.Timer(0.001 * (i % 3), items.put, (i,))
            put.start()
            got.extend(await take(items.get, 0.001 * (i % 5)))
            put.join()

    run(main)
    while not items.empty():
        got.append(items.get())
    test.assertEqual(sorted(got), list(range(ITEMS)))
