# SPDX-License-Identifier: MIT
"""How a thread is interrupted: its flags, and the settings that it changes itself (rule 16)."""
import os
import threading
import time
import unittest

import bough
from bough import ThreadExit
from tools import Gate, bytecode, ended, open_what_stays, pipe, poll_for, read, started, still_there, until_blocked, until_inside

setUpModule = open_what_stays

PIPE = []


class Flags(unittest.TestCase):
    def test_only_before_start_or_by_itself(self):
        """only a running thread itself may set its flags"""
        go = Gate()
        thread = started(go.passed)
        with self.assertRaises(RuntimeError):
            thread.enable_io_interrupt = True
        self.assertFalse(thread.enable_io_interrupt)
        go.open()
        ended(thread)

    def test_by_itself(self):
        """flags that the thread sets itself count at once"""
        def run():
            threading.current_thread().enable_interrupt_io = True
            read(r)

        with pipe() as (r, w):
            thread = started(run)
            thread.interrupt()
            self.assertIsInstance(ended(thread), ThreadExit)
            self.assertTrue(thread.enable_io_interrupt)

    def test_async_by_itself(self):
        """enable_async_interrupt, too, and off again"""
        def run():
            me = threading.current_thread()
            me.enable_async_interrupt = True
            me.enable_async_interrupt = False
            poll_for(bough.interruption_requested)
            for _ in range(300_000):
                pass
            me.enable_async_interrupt = True
            bytecode()

        thread = started(run)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)

    # The flags as functions, for threads of any class.

    SWITCHES = (bough.set_enable_io_interrupt, lambda: read(PIPE[0])), (bough.set_enable_async_interrupt, bytecode)

    def setUp(self):
        PIPE[:] = os.pipe()
        self.addCleanup(lambda: [os.close(fd) for fd in PIPE])

    def each_switch(self, function, interrupted=True):
        """`function(switch, work)` in a plain thread is interrupted in `work`, or it is not."""
        for switch, work in self.SWITCHES:
            with self.subTest(switch.__name__):
                thread = started(function, switch, work, cls=threading.Thread)
                if not interrupted:  # where the setting counts, an interrupt may come
                    until_inside(thread, {bytecode: bytecode}.get(work, read))
                bough.interrupt(thread)
                if interrupted:
                    self.assertIsInstance(ended(thread), ThreadExit)
                    continue
                self.assertTrue(still_there(thread))
                bough.terminate(thread)
                os.write(PIPE[1], b"x")
                thread.join()

    def test_as_a_statement(self):
        """it counts from there on"""
        self.each_switch(lambda switch, work: (switch(), work()))

    def test_as_a_block(self):
        """it counts in a `with`"""
        def run(switch, work):
            with switch():
                work()

        self.each_switch(run)

    def test_after_a_block(self):
        """after the `with` the previous setting holds"""
        def run(switch, work):
            with switch():
                pass
            work()

        self.each_switch(run, interrupted=False)

    def test_block_that_is_off(self):
        """off in a `with`, on after it"""
        def run(switch, work):
            switch()
            with switch(False):
                bough.interrupt(threading.get_ident())
                time.sleep(0.1)
                bough.clear_interrupt()
            bough.interrupt(threading.get_ident())
            work()

        self.each_switch(run)

    def test_statement_inside_of_blocks(self):
        """a statement in a critical section, or in another region, outlives it"""
        def run(switch, work):
            with bough.critical_section(), bough.cleanup():
                switch()
            with bough.critical_section():
                pass
            work()

        self.each_switch(run)

    def test_off_again(self):
        """on, and off"""
        self.each_switch(lambda switch, work: (switch(), switch(False), work()), interrupted=False)

    def test_one_object_for_several(self):
        """the result can be used in a `with` again, nested and in another thread"""
        def run(switch, work):
            manager = switch()
            with manager, manager:
                pass
            other = started(lambda: manager.__enter__() and manager.__exit__(None, None, None), cls=threading.Thread)
            self.assertIsNone(ended(other))
            with manager:
                work()

        self.each_switch(run)

    def test_in_a_branch(self):
        """in a branch's body it ends with the body"""
        def run(switch, work):
            with bough.branch():
                switch()
            work()

        for switch, work in self.SWITCHES[:1]:
            thread = started(run, switch, work, cls=threading.Thread)
            until_blocked(thread)
            bough.interrupt(thread)
            self.assertTrue(still_there(thread))
            os.write(PIPE[1], b"x")
            thread.join()


if __name__ == "__main__":
    unittest.main()
