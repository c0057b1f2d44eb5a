# SPDX-License-Identifier: MIT
"""Functions that are traced or profiled run on after an asynchronous delivery (rule 43).

Up to 3.12 PyThreadState_SetAsyncExc(ident, NULL) leaves the interpreter's flags for such an exception set, and in 3.11 a traced
function then spins where it begins. Each test is a separate process, because such flags would affect all tests.
"""
import os
import select
import socket
import sys
import time
import unittest

import bough
import client
from process import run
from tools import Gate, ended, open_what_stays, pipe, started, until, until_blocked, until_inside

setUpModule = open_what_stays

class Posted(BaseException):
    pass


TRACED = """
def traced():
    return sum(i for i in range(10))

sys.setprofile(lambda *event: None)
traced()
sys.setprofile(None)
sys.settrace(lambda *event: None)
traced()
sys.settrace(None)
print("done")
"""

HEAD = """
import sys, threading, time
import bough

def spin():
    n = 0
    while True:
        n += 1
"""


class Tracing(unittest.TestCase):
    """A traced thread gets the exception in its code, and is still traced afterwards."""

    def loops(self):
        n = 0
        try:
            while n >= 0:
                n += 1
        finally:
            n = -1

    def check(self, switch, which):
        def run():
            switch(tool)
            try:
                self.loops()
            except Posted:
                return which() is tool
            finally:
                switch(None)

        tool = lambda *event: tool  # noqa: E731
        for _ in range(5):
            thread = started(run)
            until_inside(thread, self.loops)
            thread.raise_exc(Posted)
            self.assertIsNone(ended(thread))
            self.assertIs(thread.result, True)

    def test_a_debugger(self):
        """sys.settrace()"""
        self.check(sys.settrace, sys.gettrace)

    def test_a_profiler(self):
        """sys.setprofile()"""
        self.check(sys.setprofile, sys.getprofile)


class Traced(unittest.TestCase):
    def check(self, body):
        process = run("-c", HEAD + body + TRACED)
        self.assertEqual((process.status, process.out), (0, "done\n"), str(process))

    def test_after_a_delivery(self):
        """that has ended a thread"""
        self.check("""
thread = bough.Thread(target=spin)
thread.start()
thread.terminate()
thread.join()
""")

    def test_after_one_that_was_withdrawn(self):
        """because a point or a critical section came first"""
        self.check("""
class Posted(Exception):
    pass

def in_and_out():
    end = time.monotonic() + 2
    caught = 0
    while time.monotonic() < end:
        try:
            for _ in range(100):
                with bough.critical_section():
                    pass
            bough.check_interrupt()
        except Posted:
            caught += 1
    return caught

thread = bough.Thread(target=in_and_out)
thread.start()
while thread.is_alive():
    try:
        thread.raise_exc(Posted)
    except ValueError:
        break
    time.sleep(0.001)
thread.join()
""")


@unittest.skipUnless(hasattr(sys, "monitoring"), "sys.monitoring is new in 3.12")
class OtherTools(unittest.TestCase):
    """What another tool has switched off at a place (DISABLE), as test coverage does, stays off there."""

    def events_of(self, function):
        """The places at which `function` reports an event, each once."""
        seen, monitoring = [], sys.monitoring
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "test")
        self.addCleanup(monitoring.free_tool_id, monitoring.COVERAGE_ID)
        kinds = [monitoring.events.PY_START, monitoring.events.LINE, monitoring.events.JUMP]
        for kind in kinds:
            note = lambda *event, kind=kind: (seen.append((kind, *event)), monitoring.DISABLE)[1]
            monitoring.register_callback(monitoring.COVERAGE_ID, kind, note)
            self.addCleanup(monitoring.register_callback, monitoring.COVERAGE_ID, kind, None)
        monitoring.set_local_events(monitoring.COVERAGE_ID, function.__code__, sum(kinds))
        self.addCleanup(monitoring.set_local_events, monitoring.COVERAGE_ID, function.__code__, 0)
        return seen

    def assert_once(self, function, again):
        """`again()` calls the function. From the second call on no place reports an event."""
        seen = self.events_of(function)
        again()
        self.assertGreater(len(seen), 3)
        seen.clear()
        for _ in range(3):
            again()
        until(lambda: not self.is_monitored(), "bough's own number is given back")
        self.assertEqual(seen, [])

    def is_monitored(self):
        return any(sys.monitoring.get_tool(number) == "bough" for number in range(6))

    def test_where_an_exception_waits(self):
        def loops(n=0):
            try:
                inside.open()
                while n >= 0:
                    n += 1
            except Posted:
                n = 1

        def again():
            inside.clear()
            thread = started(loops)
            inside.passed()
            thread.raise_exc(Posted)
            self.assertIsNone(ended(thread))

        inside = Gate()
        self.assert_once(loops, again)

    def test_where_a_call_was_interrupted(self):
        def asks(fd):
            try:
                client.ask(fd)
            except client.Error:
                monitored.append(self.is_monitored())

        def again():
            thread = started(asks, r, enable_io_interrupt=True)
            until_blocked(thread)
            thread.interrupt()
            self.assertIsNone(ended(thread))

        monitored = []
        with pipe() as (r, _):
            self.assert_once(asks, again)
        self.assertEqual(monitored, [True] * 4)


@unittest.skipUnless(hasattr(sys, "monitoring"), "sys.monitoring is new in 3.12")
class Monitoring(unittest.TestCase):
    """Watching an instruction takes longer than the rest of an interrupt, so it is done only where it is needed."""

    def assert_never_on(self, function, *args):
        calls, original = [], sys.monitoring.set_local_events
        sys.monitoring.set_local_events = lambda *event: (calls.append(event), original(*event))[1]
        self.addCleanup(setattr, sys.monitoring, "set_local_events", original)
        thread = started(function, *args, enable_io_interrupt=True)
        until_blocked(thread)
        thread.interrupt()
        self.assertIsInstance(ended(thread), bough.ThreadExit)
        self.assertEqual(calls, [])

    def test_a_socket(self):
        with socket.create_server(("localhost", 0)) as listener, socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(("localhost", 0))
            self.assert_never_on(listener.accept)
            self.assert_never_on(other.recv, 1)
            other.settimeout(3600)
            self.assert_never_on(other.recv, 1)

    def test_select(self):
        with pipe() as (r, _):
            self.assert_never_on(select.select, [r], [], [])
            poll = select.poll()
            poll.register(r)
            self.assert_never_on(poll.poll)
            with select.epoll() as epoll:
                epoll.register(r)
                self.assert_never_on(epoll.poll)

    def test_the_interpreter(self):
        with pipe() as (r, _):
            self.assert_never_on(os.read, r, 1)
            with open(r, "rb", buffering=0, closefd=False) as file:
                self.assert_never_on(file.read, 1)
        self.assert_never_on(time.sleep, 3600)


if __name__ == "__main__":
    unittest.main()
