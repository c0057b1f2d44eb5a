# SPDX-License-Identifier: MIT
"""What tasks of event loops do in tests: calls in other threads."""
import queue
import threading
import time

import bough

ITEMS = 300


def complete_when_interrupted(began):
    """A call that has a result all the same."""
    with bough.critical_section(1000):
        began.open()
        while bough.reason() is None:
            time.sleep(0.001)
    return "result"


def nothing_is_lost(test, run, take):
    """Each item is in a result or still in the queue. run(main) runs a coroutine function; take(get, seconds) is one: it calls get()
    in another thread for so long, and returns a list of what it got, or an empty one."""
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
