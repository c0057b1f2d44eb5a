# SPDX-License-Identifier: MIT
"""Many threads are interrupted at once: each is woken when the threads before it have had the GIL, and none is
forgotten (rule 4)."""
import ctypes
import os
import queue
import random
import sys
import threading
import time
import unittest

import bough
from bough import ThreadExit
from tools import SCALE, pipe, until

limit = 300

CROWD = 40
ALONE = 0.045  # the seconds before the library's ticker wakes more threads


class HoldingTheLock:
    """System calls that do not release the GIL."""

    libc = ctypes.PyDLL(None)

    @classmethod
    def content_of(cls, path):
        buffer = ctypes.create_string_buffer(200)
        file = cls.libc.open(path.encode(), os.O_RDONLY)
        count = cls.libc.read(file, buffer, len(buffer))
        cls.libc.close(file)
        return buffer.raw[: max(count, 0)]


def is_in_read(tid, fd):
    return HoldingTheLock.content_of(f"/proc/self/task/{tid}/syscall").startswith(b"0 0x%x " % fd)


class FewAtATime(unittest.TestCase):
    def setUp(self):
        if os.uname().machine != "x86_64":
            self.skipTest("the numbers of system calls are this machine's")
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())

    def round_of(self, interrupt):
        """Returns how many threads had left their read() while the first one held the GIL, and the time since the
        post."""
        tids, first, seen, posted = [], [], [], []

        def child(fd):
            tids.append(threading.get_native_id())
            try:
                os.read(fd, 1)
            except ThreadExit:  # imported before: the first use of bough.ThreadExit loads it, and releases the GIL
                if not first:
                    first.append(True)
                    HoldingTheLock.libc.usleep(10000)
                    seen.append(sum(not is_in_read(tid, fd) for tid in tids))
                    seen.append(time.monotonic() - posted[0])
                raise

        with pipe() as (fd, _):
            sys.setswitchinterval(0.005)
            with bough.branch() as b:
                children = [b.add(child, fd) for _ in range(CROWD)]
                until(lambda: len(tids) == CROWD and all(is_in_read(tid, fd) for tid in tids))
                posted.append(time.monotonic())
                sys.setswitchinterval(1000)  # the interpreter makes no thread release the GIL
                interrupt(b)
            self.assertEqual({c.outcome for c in children}, {"interrupted"})
        return seen

    def test_few_wait_for_the_gil_at_a_time(self):
        end = time.monotonic() + 20 * SCALE
        awake = waited = CROWD
        while waited > ALONE or awake > 5:  # four, and one that has run while this thread waited
            self.assertLess(time.monotonic(), end, f"{awake} after {waited} s")
            # again on a busy machine: the ticker may still be handling the last crowd
            awake, waited = self.round_of(bough.Branch.interrupt)


def reads(fd):
    os.read(fd, 1)


def waits(fd):
    threading.Event().wait()


def gets(fd):
    queue.Queue().get()


def sleeps(fd):
    time.sleep(1000)


def asks(fd):
    while True:
        bough.check_interrupt()
        time.sleep(0.001)


def blocks_again(fd):
    """Swallows the interrupt, which is not raised again at once, and then reaches points."""
    try:
        os.read(fd, 1)
    except ThreadExit:
        asks(fd)


def holds_the_gil(fd):
    """Holds the GIL for 3 ms, so the others have to wait."""
    try:
        os.read(fd, 1)
    finally:
        end = time.monotonic() + 0.003
        while time.monotonic() < end:
            pass


def has_children(fd):
    with bough.branch() as b:
        b.add(reads, fd)
        b.add(waits, fd)


def drops_it(fd):
    """Drops the exception of an interrupted call, so that the next point raises it."""
    try:
        os.read(fd, 1)
    except BaseException:
        pass
    bough.check_interrupt()


def posts(fd):
    try:
        os.read(fd, 1)
    finally:
        bough.current_child().interrupt("once more")


MANNERS = (reads, waits, gets, sleeps, asks, blocks_again, holds_the_gil, has_children, drops_it, posts)


class NoThreadIsForgotten(unittest.TestCase):
    def test_whatever_they_do(self):
        """A child that is forgotten blocks indefinitely."""
        seed = random.randrange(1 << 30)
        choice = random.Random(seed)
        for _ in range(int(os.environ.get("BOUGH_LOSS", 20000)) // 1000):
            with self.subTest(seed=seed), pipe() as (fd, _):
                with bough.branch() as b:
                    children = [b.add(choice.choice(MANNERS), fd) for _ in range(CROWD)]
                    if choice.random() < 0.5:
                        until(lambda: all(child.ident for child in children))
                    b.interrupt("all of them")
                self.assertEqual({c.outcome for c in children}, {"interrupted"})

    def test_a_crowd_of_threads(self):
        """Each thread is a separate target."""
        with pipe() as (fd, _):
            threads = []
            for _ in range(CROWD):
                thread = bough.Thread(target=reads, args=(fd,))
                thread.enable_io_interrupt = True
                thread.start()
                threads.append(thread)
            bough.interrupt_all_threads("all of them")
            for thread in threads:
                thread.join()

    def test_a_deadline_and_a_failure_reach_all(self):
        with pipe() as (fd, _):
            with self.assertRaises(TimeoutError), bough.branch(timeout=0.05 * SCALE) as b:
                for _ in range(CROWD):
                    b.add(reads, fd)
            with self.assertRaises(ZeroDivisionError), bough.branch() as b:
                for _ in range(CROWD):
                    b.add(reads, fd)
                b.add(lambda: 1 / 0)

    def test_a_child_that_forks_while_others_wait(self):
        def forks(fd):
            pid = os.fork()
            if pid == 0:
                try:
                    with bough.branch() as b:
                        children = [b.add(reads, fd) for _ in range(CROWD)]
                        b.interrupt()
                    os._exit({c.outcome for c in children} != {"interrupted"})
                finally:
                    os._exit(2)
            statuses.append(os.waitpid(pid, 0)[1])

        statuses = []
        with pipe() as (fd, _):
            with bough.branch() as outer:
                with bough.branch() as b:
                    for _ in range(CROWD):
                        b.add(reads, fd)
                    b.interrupt()
                    outer.add(forks, fd)
        self.assertEqual(statuses, [0])
