# SPDX-License-Identifier: MIT
"""Thousands of threads that wait: the time to end all, and the memory of each. Each number has a separate process."""
import os
import subprocess
import sys
import threading
import time

from blocked import Started, until_all_asleep
from measure import in_turns, row_of_pairs

SIZES = (1000, 4000, 8000)
MEMORY = (500, 2000)


def resident():
    with open("/proc/self/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def children(count):
    """Interrupts and joins `count` children. Returns the kilobytes and the milliseconds for each."""
    import bough

    started, source = Started(), os.pipe()[0]

    def child():
        started.note()
        os.read(source, 1)

    bough.opt_in()
    before = resident()
    with bough.branch() as b:
        for _ in range(count):
            b.add(child)
        started.wait_for(count)
        until_all_asleep()
        memory = resident() - before
        start = time.perf_counter()
        b.interrupt()
    return memory / count, (time.perf_counter() - start) / count * 1e3


def plain(count):
    """The same as children(), for plain threads that wait for an event."""
    started, flag = Started(), threading.Event()

    def run():
        started.note()
        flag.wait()

    before = resident()
    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    started.wait_for(count)
    until_all_asleep()
    memory = resident() - before
    start = time.perf_counter()
    flag.set()
    for thread in threads:
        thread.join()
    return memory / count, (time.perf_counter() - start) / count * 1e3


def in_process(function, count, which):
    def run():
        command = [sys.executable, __file__, function.__name__, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(f"{count} threads: {done.stderr.strip()[-400:]}")
        return float(done.stdout.split()[which])

    return run


def rows(quick):
    for size in SIZES[:1] if quick else SIZES:
        pairs = in_turns(in_process(children, size, 1), in_process(plain, size, 1), 2 if quick else 5)
        what = f"{size} children in os.read(), interrupted to joined, each"
        yield row_of_pairs(what, "Event.set() and join of as many threads", "ms", pairs, at_most=1.0)
    for size in MEMORY[:1] if quick else MEMORY:
        pairs = in_turns(in_process(children, size, 0), in_process(plain, size, 0), 1 if quick else 3)
        what = f"memory of a blocked child, one of {size}"
        yield row_of_pairs(what, "a plain thread's", "kB", pairs, value_at_most=15)


if __name__ == "__main__":
    print(*{"children": children, "plain": plain}[sys.argv[1]](int(sys.argv[2])))
