# SPDX-License-Identifier: MIT
"""Rule 45: an event loop in an interrupted thread ends in its documented way. Each run is a process: see loops.py."""
import os
import re
import threading
import time
import unittest

import bough
from installed import needs
from process import ROOT, run

LOOPS = ROOT / "python" / "tests" / "loops.py"
limit = 120
SCALE = float(os.environ.get("T_SCALE", 1))

# (the loop that loops.py runs, the packages that it needs, the number of its tasks that clean up)
LIBRARIES = (
    ("asyncio", (), 2),
    ("busy_asyncio", (), 1),
    ("uvloop", ("uvloop",), 2),
    ("busy_uvloop", ("uvloop",), 1),
    ("anyio", ("anyio",), 2),
    ("anyio_on_trio", ("anyio", "trio"), 2),
    ("trio", ("trio",), 2),
    ("trio_with_a_thread", ("trio",), 1),
    ("trio_in_a_thread_of_trio", ("trio",), 2),
    ("tornado", ("tornado",), 1),
    ("twisted", ("twisted",), 1),
    ("twisted_that_blocks", ("twisted",), 1),
    ("twisted_that_blocks_at_first", ("twisted",), 1),
    ("glib", ("gi",), 1),
    ("glib_in_a_context", ("gi",), 1),
    ("gio_application", ("gi",), 1),
    ("gevent", ("gevent",), 2),
    ("eventlet", ("eventlet",), 1),
)
# A reactor of twisted runs once in a process, and gio's and tornado's loops clean up by themselves each time.
ONCE = ("twisted", "twisted_that_blocks", "twisted_that_blocks_at_first")
# Not tested in this way: the inner loop may not have begun when its thread is interrupted.
NESTED = ("trio_in_a_thread_of_trio",)


class Loops(unittest.TestCase):
    def run_loop(self, library, way, expected):
        # On a busy machine a deadline may pass before all tasks have begun; and an exception that is posted to a thread
        # that waits for a processor may be raised in a task's code, and is then the task's failure.
        for seconds in (0.5, 4, 16) if way in ("deadline", "posted") else (0.5,):
            process = run("-W", "ignore", LOOPS, library, way, seconds)
            if process.out.splitlines() == expected:
                break
        self.assertEqual((process.status, process.out.splitlines()), (0, expected), str(process))
        self.assertLess(process.took, 15 * SCALE)  # a loop whose cleanup is interrupted takes 5 s and more

    @needs("trio")
    def test_what_trio_refuses(self):
        """is refused with trio's message in a thread that has opted in, too"""
        import trio

        async def coroutine():
            pass

        async def generator():
            yield

        def messages():
            for wrong in coroutine(), generator, len, "text", None:
                try:
                    trio.run(wrong, *((),) * (wrong is len))
                except TypeError as error:
                    yield re.sub("0x[0-9a-f]+", "", str(error))

        plain = list(messages())
        with bough.set_enable_io_interrupt():
            self.assertEqual(list(messages()), plain)
        self.assertEqual(len(plain), 5)


def add_tests():
    ways = {
        "child": lambda cleaned: cleaned + ["interrupted"],
        "deadline": lambda cleaned: cleaned + ["TimeoutError"],
        "raise_exc": lambda cleaned: cleaned + ["that very instance"],
        "running": lambda cleaned: cleaned + ["interrupted"],
        "posted": lambda cleaned: cleaned + ["that very instance"],
        "again": lambda cleaned: [*cleaned, "enough", *cleaned, "the second loop has ended by itself"],
    }
    for library, packages, tasks in LIBRARIES:
        for way, expected in ways.items():
            if (way == "again" and library in ONCE) or (way in ("running", "posted") and library in NESTED):
                continue

            def test(self, library=library, way=way, lines=expected(["cleaned"] * tasks)):
                self.run_loop(library, way, lines)

            setattr(Loops, f"test_{library}_{way}", needs(*packages)(test))


add_tests()


def asyncio_in_child(main):
    import asyncio

    with bough.branch() as b:
        child = b.add(asyncio.run, main())
    return child


class Asyncio(unittest.TestCase):
    """Behaviour that is the same for every loop, shown by asyncio's loop."""

    stays = ("anon_inode:*event*",)

    def test_the_end_waits_for_a_critical_section(self):
        """the descriptor is readable in it, but the loop does not spin"""
        import asyncio

        events = []

        async def main():
            with bough.critical_section():
                bough.interrupt(threading.get_ident(), "enough")
                before = time.process_time()
                await asyncio.sleep(0.5)
                events.append(time.process_time() - before)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

        child = asyncio_in_child(main)
        self.assertEqual((child.outcome, events[1:]), ("interrupted", ["cancelled"]))
        self.assertLess(events[0], 0.25)

    def test_a_callback_behind_the_stop(self):
        """that blocks is interrupted, too: the grace period begins when the loop has stopped"""
        import asyncio

        from bough import _bough

        events = []

        def blocks():
            events.append("blocks")
            time.sleep(3600)

        async def main():
            _bough.set_grace(40 * SCALE)
            bough.interrupt(threading.get_ident(), "enough")
            asyncio.get_running_loop().call_later(0, blocks)  # in the loop's next round, after its descriptors
            try:
                await asyncio.Event().wait()
            finally:
                time.sleep(0.01)
                events.append("cleaned")

        began = time.monotonic()
        child = asyncio_in_child(main)
        self.assertEqual((child.outcome, events), ("interrupted", ["blocks", "cleaned"]))
        self.assertLess(time.monotonic() - began, 20 * SCALE)

    def test_a_cleanup_that_hangs_is_interrupted_again(self):
        """after the grace of a blocking call"""
        import asyncio

        from bough import _bough

        events = []

        async def main():
            _bough.set_grace(0.3)
            bough.interrupt(threading.get_ident(), "enough")
            try:
                await asyncio.sleep(3600)
            finally:
                events.append("cleanup begins")
                await asyncio.sleep(3600)

        child = asyncio_in_child(main)
        self.assertEqual((child.outcome, events), ("interrupted", ["cleanup begins"]))

    def test_an_exception_that_is_posted_at_that_moment(self):
        """when an interrupt is about to stop the loop: both come"""
        from unittest import mock

        from bough import _loops

        class Posted(Exception):
            pass

        class Never:
            def acquire(self, *args):
                bough.raise_exc(threading.get_ident(), error)
                return never.acquire(*args)

        def run():
            b.interrupt("enough")
            events.append(type(_loops._take_due()))
            time.sleep(3600)

        error, never, events = Posted(), _loops._never, []
        with mock.patch.object(_loops, "_never", Never()), self.assertRaises(Posted) as caught, bough.branch() as b:
            b.add(run)
        self.assertIs(caught.exception, error)
        self.assertEqual(events, [bough.ThreadExit])

    def test_an_exception_that_is_posted_in_the_code_of_a_task(self):
        """is raised once, as the failure of that task: the loop goes on"""
        import asyncio

        computes = threading.Event()

        async def never_waits():
            computes.set()
            while True:
                time.sleep(0)

        async def main():
            done, _ = await asyncio.wait([asyncio.create_task(never_waits())])
            await asyncio.sleep(0.01)
            return done.pop().exception()

        error = KeyError("posted")
        with bough.branch() as b:
            child = b.add(asyncio.run, main())
            computes.wait()
            child.raise_exc(error)
        self.assertIs(child.result(), error)

    def test_a_thread_without_flags(self):
        """an interrupt does not end its loop; an exception of raise_exc() does"""
        import asyncio

        self.without_flags(asyncio.new_event_loop)

    @needs("uvloop")
    def test_a_thread_without_flags_in_uvloop(self):
        import uvloop

        self.without_flags(uvloop.new_event_loop)

    test_a_thread_without_flags_in_uvloop.stays = (*stays, "pipe:*")  # libuv's, for signals, made once

    def without_flags(self, factory):
        import asyncio

        began = threading.Event()

        async def main():
            began.set()
            await asyncio.sleep(3600)

        def work():
            try:
                with asyncio.Runner(loop_factory=factory) as runner:
                    runner.run(main())
            except BaseException as error:
                thread.raised = error.with_traceback(None)

        thread = bough.Thread(target=work)
        thread.start()
        began.wait()
        thread.interrupt("not for blocking calls")
        thread.join(0.3)
        self.assertTrue(thread.is_alive())
        thread.raise_exc(KeyError("posted"))
        thread.join(20 * SCALE)
        self.assertIsInstance(thread.raised, KeyError)

    def test_a_plain_thread(self):
        """its loop gets no descriptor and is not interrupted"""
        import asyncio

        bough.opt_in()
        seen = []

        async def main():
            loop = asyncio.get_running_loop()
            bough.interrupt(threading.get_ident(), "not for this thread")
            seen.append(len(loop._selector.get_map()))
            await asyncio.sleep(0.2)
            seen.append("slept")

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        thread.join()
        self.assertEqual(seen, [1, "slept"])  # asyncio's descriptor

    def test_many(self):
        import asyncio

        self.many(asyncio.new_event_loop)

    @needs("uvloop")
    def test_many_of_uvloop(self):
        import uvloop

        self.many(uvloop.new_event_loop)

    test_many_of_uvloop.stays = (*stays, "pipe:*")

    def many(self, factory):
        """200 loops, each interrupted at another moment, running or waiting"""
        import asyncio

        async def main():
            try:
                began.set()
                await asyncio.sleep(0.001)
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0)

        def work():
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(main())

        for i in range(200):
            began = threading.Event()
            with bough.branch() as b:
                child = b.add(work)
                began.wait()
                time.sleep(i * 0.00002)
                child.interrupt()
            self.assertEqual(child.outcome, "interrupted")

    def test_opting_out_restores_the_methods(self):
        import asyncio

        bough.opt_out()
        before = asyncio.BaseEventLoop.run_forever
        bough.opt_in()
        self.assertIsNot(asyncio.BaseEventLoop.run_forever, before)
        self.assertIn("asyncio.base_events.BaseEventLoop.run_forever", bough.report()["replaced"])
        bough.opt_out()
        self.assertIs(asyncio.BaseEventLoop.run_forever, before)

    @needs("uvloop")
    def test_a_class_that_inherits_the_method(self):
        import uvloop

        bough.opt_out()
        before = uvloop.Loop.run_forever
        bough.opt_in()
        self.assertIn("run_forever", vars(uvloop.Loop))
        bough.opt_out()
        self.assertNotIn("run_forever", vars(uvloop.Loop))
        self.assertIs(uvloop.Loop.run_forever, before)


if __name__ == "__main__":
    unittest.main()
