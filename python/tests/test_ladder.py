# SPDX-License-Identifier: MIT
"""The ladder from Python: handlers, times, callbacks, the dump (rules 34 to 41)."""
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

import bough
from bough import DISMISS, PROMOTE, UNWIND, Rung, ThreadExit, resume
from process import Process
from tools import LIMIT, Gate, ended, open_what_stays, pipe, poll_for, started, until, until_inside

setUpModule = open_what_stays


def deaf(fd=None):
    """Reaches points or blocking calls, and ignores interrupts. Returns when it is no longer interrupted."""
    with bough.critical_section(LIMIT):
        poll_for(bough.interruption_requested)
    while bough.interruption_requested():
        try:
            bough.check_interrupt() if fd is None else os.read(fd, 1)
            time.sleep(0.002)
        except ThreadExit:
            pass


def with_handler(handler, body, *args, final=False):
    with bough.handler(handler, final=final):
        body(*args)


class Handlers(unittest.TestCase):
    limit = 120

    def setUp(self):
        # a handler runs at a point that the thread comes to within this time
        bough.set_ladder(times={Rung.FLAG: 0.1, Rung.HANDLER: LIMIT, Rung.FINAL: LIMIT})
        self.addCleanup(bough.set_ladder)
        self.unraisable = []
        hook = sys.unraisablehook
        sys.unraisablehook = lambda u: self.unraisable.append(u.exc_value)
        self.addCleanup(setattr, sys, "unraisablehook", hook)

    def run_with(self, handler, body=deaf, *args, final=False, **flags):
        thread = started(lambda: with_handler(handler, body, *args, final=final), **flags)
        until_inside(thread, body)
        thread.interrupt("test")
        return thread

    def test_incident(self):
        """a handler of rung 2 runs on the thread, at a point, and gets the incident"""
        def handler(incident):
            seen.append((incident, threading.current_thread()))
            return DISMISS

        seen = []
        thread = self.run_with(handler)
        self.assertIsNone(ended(thread))
        (incident, where), = seen
        self.assertIs(where, thread)
        self.assertEqual((incident.record.reason, incident.rung, incident.cap), ("test", Rung.HANDLER, None))
        self.assertTrue(0 < incident.deadline <= LIMIT, incident)

    def test_in_a_blocking_call(self):
        """also at an interrupted blocking call, where the thread does not hold the GIL"""
        def handler(incident):
            seen.append(threading.current_thread())
            return DISMISS

        with pipe() as (r, w):
            seen = []
            thread = self.run_with(handler, deaf, r, enable_io_interrupt=True)
            until(lambda: seen or not thread.is_alive(), "the handler")
            os.write(w, b"x" * 100)
            self.assertIsNone(ended(thread))
            self.assertEqual(seen, [thread])

    def test_unwind(self):
        """UNWIND, or None: the point raises as without a handler"""
        for verdict in (UNWIND, None):
            def body():
                while True:
                    try:
                        bough.check_interrupt()
                    except ThreadExit:
                        if seen:
                            raise
                    time.sleep(0.002)

            seen = []
            thread = self.run_with(lambda incident: seen.append(1) or verdict, body)
            self.assertIsInstance(ended(thread), ThreadExit)
            self.assertEqual(seen, [1])

    def test_resume(self):
        """resume(): points raise nothing until that time"""
        def body():
            while not seen:
                try:
                    bough.check_interrupt()
                except ThreadExit:
                    pass
                time.sleep(0.002)
            try:
                while True:
                    bough.check_interrupt()
                    time.sleep(0.002)
            except ThreadExit:
                took.append(time.monotonic() - seen[0])

        seen, took = [], []
        self.assertIsNone(ended(self.run_with(lambda incident: seen.append(time.monotonic()) or resume(0.3), body)))
        self.assertGreaterEqual(took[0], 0.3)

    def test_promote(self):
        """PROMOTE: the next handler outwards"""
        def run():
            with bough.handler(lambda incident: seen.append("outer") or DISMISS):
                with bough.handler(lambda incident: seen.append("inner") or PROMOTE):
                    deaf()

        seen = []
        thread = started(run)
        thread.interrupt()
        self.assertIsNone(ended(thread))
        self.assertEqual(seen, ["inner", "outer"])

    def test_error(self):
        """an error in the handler, or an invalid verdict, is reported to sys.unraisablehook and promotes"""
        def fails(incident):
            raise error

        error = KeyError("x")
        for handler in (fails, lambda incident: "no verdict"):
            def run():
                with bough.handler(lambda incident: seen.append("outer") or DISMISS), bough.handler(handler):
                    deaf()

            seen = []
            thread = started(run)
            thread.interrupt()
            self.assertIsNone(ended(thread))
            self.assertEqual(seen, ["outer"])
        self.assertEqual([type(e) for e in self.unraisable], [KeyError, TypeError])

    def test_final(self):
        """rung 3: the handler's exception ends the thread, out of a point and out of a blocking call"""
        def final(incident):
            seen.append(incident.rung)
            raise error

        with pipe() as (r, w):
            for args, flags in (((), {}), ((r,), {"enable_io_interrupt": True})):
                error, seen = KeyError("final"), []
                thread = self.run_with(final, deaf, *args, final=True, **flags)
                self.assertIs(ended(thread), error)
                self.assertEqual(seen, [Rung.FINAL])

    def test_final_that_returns(self):
        """a final handler that returns has failed: the incident is overdue, and reported"""
        bough.set_ladder(times={Rung.FLAG: 0.1, Rung.HANDLER: 0.5, Rung.FINAL: 0.5})
        steps = []
        bough.on_transition(steps.append)
        self.addCleanup(bough.on_transition, None)
        thread = self.run_with(lambda incident: None, final=True)
        until(lambda: any(t.after == t.before == 3 for t in steps), "the report")
        thread.raise_exc(KeyError)
        self.assertIsInstance(ended(thread), KeyError)

    def test_not_in_a_critical_section(self):
        """a handler does not run in a critical section"""
        def body():
            with bough.critical_section(budget=LIMIT):
                go.passed()
                bough.check_interrupt()
                seen.append("section")
            deaf()

        go, seen = Gate(), []
        thread = self.run_with(lambda incident: seen.append("handler") or DISMISS, body)
        time.sleep(0.3)
        go.open()
        self.assertIsNone(ended(thread))
        self.assertEqual(seen, ["section", "handler"])

    def test_no_callable(self):
        """an object that can't be called is a TypeError"""
        for make in (bough.handler, bough.closer, lambda x: bough.exit_tier(0, x), bough.on_transition):
            with self.assertRaises(TypeError):
                make(1)


class Settings(unittest.TestCase):
    def tearDown(self):
        bough.set_ladder()

    def test_default(self):
        """the defaults are those of the table"""
        ladder = bough.get_ladder()
        self.assertEqual((ladder.grace, ladder.cap), (30, 28))
        self.assertEqual(list(ladder.times.values()), [5, 1, 5, 2, 8, 2])
        self.assertEqual({k: int(v) for k, v in ladder.ceilings.items()}["stop"], 3)
        self.assertEqual(ladder.ceilings["signal"], Rung.KILL)

    def test_process(self):
        """the process: grace, cap, times, ceilings"""
        bough.set_ladder(grace=15, times={Rung.FLAG: 0.25, 2: 3}, ceilings={"stop": 1, "exit": Rung.EXIT})
        ladder = bough.get_ladder()
        self.assertEqual((ladder.grace, ladder.cap), (15, 14))
        self.assertEqual([ladder.times[r] for r in Rung], [0.25, 3, 2.5, 1, 4, 1])
        self.assertEqual((ladder.ceilings["stop"], ladder.ceilings["exit"]), (Rung.FLAG, Rung.EXIT))

    def test_branch_and_thread(self):
        """a branch and a thread: the nearest setting counts"""
        with bough.branch() as b:
            bough.set_ladder(b, times={1: 7})
            self.assertEqual(bough.get_ladder(b).times[Rung.FLAG], 7)
            self.assertEqual(b.add(lambda: bough.get_ladder(threading.get_ident()).times[1]).join(), True)
        self.assertEqual(bough.get_ladder().times[Rung.FLAG], 5)

        def run():
            bough.set_ladder(threading.current_thread(), times={1: 3})
            return bough.get_ladder(threading.current_thread()).times[1], bough.get_ladder().times[1]

        thread = started(run)
        self.assertIsNone(ended(thread))
        self.assertEqual(thread.result, (3, 5))

    def test_errors(self):
        """a value that is out of range, unknown or another thread's is a ValueError, a value of another type a TypeError"""
        for wrong in ({"grace": 0}, {"cap": -1}, {"times": {7: 1}}, {"times": {1: 1e9}}, {"ceilings": {"x": 1}}, {"ceilings": {"stop": 9}}):
            with self.subTest(wrong), self.assertRaises(ValueError):
                bough.set_ladder(**wrong)
        with self.assertRaises(TypeError):
            bough.set_ladder("x", grace=1)
        go = Gate()
        thread = started(go.passed)
        with self.assertRaises(ValueError):
            bough.set_ladder(thread, grace=1)
        go.open()
        ended(thread)
        with self.assertRaises(ValueError):
            bough.get_ladder(thread)
        with self.assertRaises(ValueError):
            resume(-1)


class Watching(unittest.TestCase):
    def test_transitions(self):
        """each step is reported, on a thread of bough"""
        bough.set_ladder(times={Rung.FLAG: 0.1})
        self.addCleanup(bough.set_ladder)
        steps = []
        self.assertIsNone(bough.on_transition(lambda t: steps.append((t, threading.get_ident()))))
        thread = started(deaf)
        thread.interrupt("test")
        until(lambda: steps, "a transition")
        thread.raise_exc(KeyError)
        ended(thread)
        until(lambda: any(t.after == 0 for t, _ in steps), "the last one")
        bough.on_transition(None)
        first, where = steps[0]
        self.assertEqual((first.kind, first.before, first.after, first.source), ("stop", 1, 1, threading.get_native_id()))
        self.assertNotIn(where, (thread.ident, threading.get_ident()))

    def test_dump(self):
        """dump(): the tree, threads and regions, to a file or a descriptor"""
        inside, leave = Gate(), Gate()

        def run():
            with bough.critical_section():
                inside.open()
                leave.passed()

        thread = started(run)
        inside.passed()
        with tempfile.TemporaryFile() as file:
            bough.dump(file)
            bough.dump(file.fileno())
            file.seek(0)
            text = file.read().decode()
        leave.open()
        ended(thread)
        self.assertIn(thread.name, text)
        self.assertIn("test_ladder.py", text)
        with self.assertRaises(OSError):
            bough.dump(-1)

    def test_closer(self):
        """a closer belongs to its block, and the block's end runs nothing"""
        def run():
            with bough.closer(lambda: seen.append(1)), bough.closer(print):
                pass

        seen = []
        self.assertIsNone(ended(started(run)))
        self.assertEqual(seen, [])


class Ends(unittest.TestCase):
    """the upper rungs, as real processes"""

    limit = 120

    def test_handlers_of_main(self):
        """SIGTERM: main's handler at rung 2 saves, the final one ends it"""
        text = (
            "import sys, time\nfrom bough import *\n"
            "set_ladder(times={Rung.FLAG: 0.5, Rung.HANDLER: 20})\n"
            "def save(i): print('saved', i.rung, i.cap > 0, flush=True); return PROMOTE\n"
            "def final(i): print('final', flush=True); raise SystemExit(9)\n"
            "with handler(save), handler(final, final=True):\n"
            "    print('ready', flush=True)\n"
            "    try: time.sleep(3600)\n"  # between two rounds of the loop nothing would catch the signal's exception
            "    except ThreadExit: pass\n"
            "    while True:\n"
            "        try: check_interrupt(); time.sleep(0.05)\n"
            "        except ThreadExit: pass\n"
        )
        with Process("-c", text) as p:
            p.until("^ready$")
            p.until_in("clock_nanosleep", main=True)
            p.send(signal.SIGTERM)
            p.end()
        self.assertEqual(p.out, "ready\nsaved 2 True\nfinal\n", p)
        self.assertEqual(p.status, -signal.SIGTERM, p)  # the signal's record was not cleared

    def test_exit_tiers(self):
        """exit_tier(): lower tiers first, the last registered of a tier first"""
        text = (
            "import ctypes, functools\nfrom bough import *\n"
            "set_ladder(times={1: 0.2, 2: 0.2, 3: 0.2, 4: 0.2, 5: 20})\n"
            "say = functools.partial(print, flush=True)\n"
            "for tier, word in ((1, 'b'), (0, 'a2'), (0, 'a1')): exit_tier(tier, functools.partial(say, word))\n"
            "m = ctypes.create_string_buffer(64)\nl = ctypes.CDLL(None)\nl.pthread_mutex_lock(m)\n"
            "say('ready')\nl.pthread_mutex_lock(m)\n"
        )
        with Process("-c", text) as p:
            p.until("^ready$")
            p.until_in("futex", main=True)
            p.send(signal.SIGTERM)
            p.end()
        self.assertEqual((p.status, p.out), (-signal.SIGTERM, "ready\na1\na2\nb\n"), p)


class ServiceManager(unittest.TestCase):
    """notify_ready() and the watchdog; service.py of the C tests checks the messages."""

    limit = 60

    def test_notified(self):
        """on request it is notified; the time of the watchdog is in seconds"""
        text = "import bough\nprint(bough.watchdog_interval(), bough.notify_ready(), bough.watchdog_feed())"
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{folder}/notify")
            env = {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": ""}
            with Process("-c", text, env=env) as p:
                p.end()
            self.assertEqual((p.status, p.out), (0, "2.5 True True\n"), p)
            self.assertEqual([manager.recv(64), manager.recv(64)], [b"READY=1", b"WATCHDOG=1"])

    def test_not_there(self):
        """without a service manager nothing is sent; a service manager that does not listen causes an OSError"""
        text = "import bough\nprint(bough.watchdog_interval(), bough.watchdog_feed(), bough.notify_ready())"
        with Process("-c", text, env=dict.fromkeys(("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"), "")) as p:
            p.end()
        self.assertEqual((p.status, p.out), (0, "None False False\n"), p)
        with Process("-c", text, env={"NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": "", "WATCHDOG_PID": ""}) as p:
            p.end()
        self.assertIn("FileNotFoundError", p.err)


if __name__ == "__main__":
    unittest.main()
