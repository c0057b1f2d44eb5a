# SPDX-License-Identifier: MIT
"""The processor time that the package spends on asynchronous threads while no interrupt is due."""
import os
import time

import bough
from blocked import Started, until_all_asleep
from measure import Row

THREADS = 400


def rows(quick):
    started, (source, sink) = Started(), os.pipe()

    def run():
        started.note()
        os.read(source, 1)

    threads = [bough.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.enable_async_interrupt = True
        thread.start()
    started.wait_for(THREADS)
    until_all_asleep()
    seconds = 2 if quick else 10
    before = time.process_time()
    time.sleep(seconds)
    spent = (time.process_time() - before) / seconds * 1000
    for thread in threads:
        os.write(sink, b"x")
    for thread in threads:
        thread.join()
    yield Row(f"{THREADS} asynchronous threads, nothing due, processor time in a second", "", "ms", spent, value_at_most=20)
