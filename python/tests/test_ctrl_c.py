# SPDX-License-Identifier: MIT
"""A second and a third Ctrl-C end a program whose branch child takes no interrupt (rule 32).

The first one interrupts, the second one begins the exit, and the third one dumps and kills, as in C. The exception that
has left the block before makes no difference.
"""
import signal
import time
import unittest

from process import LIMIT, Process

HEAD = """
import sys, time
import bough
from bough import branch

def takes_none():
    while True:
        pass

def nested():
    with branch() as inner:
        inner.add(takes_none)
        begun()

def begun():
    print("begun", flush=True)
"""

WAYS = {
    "ctrl_c": """
with branch() as b:
    b.add(takes_none)
    begun()
    time.sleep(3600)
""",
    "exception": """
with branch() as b:
    b.add(takes_none)
    begun()
    raise ValueError
""",
    "exit": """
with branch() as b:
    b.add(takes_none)
    begun()
    sys.exit(3)
""",
    "deadline": """
with branch() as b:
    b.add(takes_none)
    begun()
    b.set_deadline(time.monotonic() + 0.3)
""",
    "interrupt": """
with branch() as b:
    b.add(takes_none)
    begun()
    b.interrupt()
""",
    "nested": """
with branch() as b:
    b.add(nested)
    time.sleep(3600)
""",
}

BROKEN = """
def broken(self):
    missing
bough.Branch._wait = broken
alive = 0
def child():
    global alive
    alive += 1
    try:
        time.sleep(3600)
    finally:
        alive -= 1
try:
    with branch() as b:
        c = b.add(child)
        raise KeyError
except NameError as error:
    print(type(error).__name__, c.outcome, alive)
"""

ANOTHER = 0.4  # seconds: signals within 250 ms of an event's beginning belong to the same event


class TakesNoInterrupt(unittest.TestCase):
    def ctrl_c_until_end(self, process):
        """Sends Ctrl-C until the process ends. Main needs the GIL for each: on a busy machine it may take two for
        one."""
        end = time.monotonic() + LIMIT
        while process.process.poll() is None and time.monotonic() < end:
            process.send(signal.SIGINT)
            process.until_taken(signal.SIGINT)
            time.sleep(ANOTHER)
        process.end()

    def check_third(self, body):
        """With a grace that is too long for the test, so that only the signals can end the process. The exit that the second signal has
        begun may be over before the third one comes."""
        with Process("-c", HEAD + body, env={"BOUGH_GRACE": str(10 * LIMIT)}) as process:
            process.until("begun")
            self.ctrl_c_until_end(process)
        self.assertIn(process.status, (-signal.SIGINT, -signal.SIGKILL), str(process))
        self.assertIn(": a further event", process.err)
        self.assertIn("goes up to rung 5 (exit)", process.err)
        if process.status == -signal.SIGKILL:
            self.assertIn("==== end ====", process.err)  # of the dump

    def test_first(self):
        """interrupts, and a child that heeds it ends: the incident does not climb"""
        body = WAYS["ctrl_c"].replace("b.add(takes_none)", "b.add(time.sleep, 3600)")
        with Process("-c", HEAD + body) as process:
            process.until("begun")
            process.until_in("clock_nanosleep", main=True)
            process.send(signal.SIGINT)
            process.end()
        self.assertEqual(process.status, -signal.SIGINT, str(process))
        self.assertNotIn("rung", process.err)


POOLS = {
    "pool": """
with bough.ThreadPoolExecutor(2) as pool:
    waits = [pool.submit(CALL) for _ in range(2)]
    begun()
    time.sleep(3600)
""",
    "end": """
with bough.ThreadPoolExecutor(2) as pool:
    waits = [pool.submit(CALL) for _ in range(2)]
    begun()
""",
    "map": """
with bough.ThreadPoolExecutor(2) as pool:
    begun()
    list(pool.options(name="job").map(lambda i: CALL(), range(20)))
""",
    "to_thread": """
import asyncio

async def main():
    begun()
    await asyncio.gather(bough.to_thread(CALL), bough.to_thread(CALL))

asyncio.run(main())
""",
    "opted_in": """
import asyncio
bough.opt_in(pools=True)

async def main():
    begun()
    await asyncio.gather(asyncio.to_thread(CALL), asyncio.to_thread(CALL))

asyncio.run(main())
""",
}
BLOCKS = """
import threading
running = set()

def blocks():
    running.add(threading.get_ident())
    time.sleep(3600)
"""


class Executors(unittest.TestCase):
    """Pools and event loops whose threads block: the first Ctrl-C ends the program, and no call goes on."""

    def check_first(self, body):
        with Process("-c", HEAD + BLOCKS + body.replace("CALL", "blocks")) as process:
            process.until("begun")
            process.until_in("clock_nanosleep", threads=2 + body.count("time.sleep"))
            process.send(signal.SIGINT)
            process.end()
        self.assertEqual(process.status, -signal.SIGINT, str(process))
        self.assertNotIn("rung", process.err)

    def test_third(self):
        """A call that ignores the interrupt: the third Ctrl-C ends the program at the latest."""
        TakesNoInterrupt.check_third(self, POOLS["pool"].replace("CALL", "takes_none"))

    ctrl_c_until_end = TakesNoInterrupt.ctrl_c_until_end


class EndFails(unittest.TestCase):
    def test_error_of_the_end(self):
        """An error that is raised at each try to end the block does not keep the program in the block: the children are joined."""
        with Process("-c", HEAD + BROKEN) as process:
            process.end()
        self.assertEqual((process.status, process.out), (0, "NameError interrupted 0\n"), str(process))


def add_tests():
    for name, body in WAYS.items():

        def test(self, body=body):
            self.check_third(body)

        test.__doc__ = f"at the latest the third one ends it: {name}"
        setattr(TakesNoInterrupt, f"test_third_{name}", test)
    for name, body in POOLS.items():
        setattr(Executors, f"test_first_{name}", lambda self, body=body: self.check_first(body))


add_tests()

if __name__ == "__main__":
    unittest.main()
