# SPDX-License-Identifier: MIT
"""`python -m bough run`: Ctrl-C and SIGTERM in programs that were not written for bough. Main and its threads have a
thirtieth of the grace to end by themselves."""
import signal
import sys
import unittest

from process import Process

HEAD = """
import asyncio, atexit, concurrent.futures, multiprocessing, os, signal, sys, threading, time

def say(text):
    os.write(1, (text + "\\n").encode())

def sleeper():
    try:
        say("sleeps")
        time.sleep(3600)
    finally:
        say("awake")

def start(target=sleeper, **more):
    thread = threading.Thread(target=target, **more)
    thread.start()
    return thread

def pause():
    say("ready")
    time.sleep(3600)
"""
AT_ONCE, PATIENT, LONG = ("--grace", "15"), ("--grace", "90"), ("--grace", "1000")  # 0.5, 3 and 33 seconds


class Case(unittest.TestCase):
    def ended(self, body, signo, *options, threads=2):
        with Process("-m", "bough", "run", *options, "-c", HEAD + body) as process:
            process.until("ready\n")
            process.until_in("clock_nanosleep", threads=threads)
            process.send(signo)
            process.end()
        self.assertNotIn("/bough/", process.err)
        return process

    def check(self, body, signo, *options, status, out, **more):
        process = self.ended(body, signo, *options, **more)
        self.assertEqual((process.status, process.out.split()[-len(out.split()) :]), (status, out.split()), str(process))
        self.assertNotIn("rung", process.err)
        return process


class CtrlC(Case):
    def test_uncaught(self):
        """the program ends by SIGINT, with its own traceback, and threads end"""
        process = self.check("start()\npause()", signal.SIGINT, status=-2, out="awake")
        self.assertRegex(process.err, r'(?s)^Traceback .*\n  File "<string>", line \d+, in pause\n.*KeyboardInterrupt\n$')

    def test_daemon(self):
        """cleans up"""
        self.check("start(daemon=True)\npause()", signal.SIGINT, status=-2, out="awake")

    def test_caught(self):
        """main's end is ordinary, and waits for no thread that does not end"""
        body = "start()\ntry:\n    pause()\nexcept KeyboardInterrupt:\n    say('caught')"
        self.check(body, signal.SIGINT, *PATIENT, status=0, out="caught awake")

    def test_joined(self):
        """a thread that main waits for"""
        body = "t = start()\ntry:\n    pause()\nexcept KeyboardInterrupt:\n    pass\nt.join()\nsay('joined')"
        self.check(body, signal.SIGINT, *AT_ONCE, status=0, out="awake joined")

    def test_asked_to_end(self):
        """by the program: the thread has time to end, and is not interrupted"""
        body = """
stop = threading.Event()
def works():
    stop.wait()
    time.sleep(0.2)
    say("done")
t = start(works)
try:
    pause()
finally:
    stop.set()
    t.join()
"""
        self.check(body, signal.SIGINT, *LONG, status=-2, out="done", threads=1)

    def test_pool(self):
        """the item that runs is interrupted, those that wait are not begun"""
        body = """
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    running, waiting = pool.submit(sleeper), pool.submit(say, "begun")
    try:
        pause()
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
        say(str(running.cancelled()))
"""
        self.check(body, signal.SIGINT, *AT_ONCE, status=0, out="awake True")

    def test_lock(self):
        """that a thread holds, and main's cleanup needs"""
        body = """
lock = threading.Lock()
def holds():
    with lock:
        sleeper()
start(holds)
try:
    pause()
finally:
    with lock:
        say("got it")
"""
        self.check(body, signal.SIGINT, *AT_ONCE, status=-2, out="awake got it")

    def test_going_on(self):
        """a program that handles Ctrl-C and continues: its threads are not interrupted"""
        body = """
done = threading.Event()
def works():
    done.wait()
    say("works")
t = start(works)
try:
    pause()
except KeyboardInterrupt:
    pass
time.sleep(3)
threading.Timer(1, done.set).start()
t.join()
"""
        self.check(body, signal.SIGINT, *PATIENT, status=0, out="works", threads=1)

    def test_handlers(self):
        """signal.getsignal() returns the interpreter's handler; asyncio installs a handler"""
        body = """
say(str(signal.getsignal(signal.SIGINT) is signal.default_int_handler))
async def main():
    say("ready")
    try:
        await asyncio.to_thread(sleeper)
    except asyncio.CancelledError:
        say("cancelled")
        raise
asyncio.run(main())
"""
        process = self.ended(body, signal.SIGINT, threads=1)
        self.assertEqual(process.status, -signal.SIGINT, str(process))
        self.assertEqual(set(process.out.split()), {"True", "ready", "sleeps", "cancelled", "awake"})

    def test_ignored(self):
        """a signal that nohup or a shell's & ignores stays ignored"""
        code = HEAD + "say(str(signal.getsignal(signal.SIGINT) is signal.SIG_IGN))"
        ignoring = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
        with Process("-c", ignoring, sys.executable, "-m", "bough", "run", "-c", code) as process:
            process.end()
        self.assertEqual(process.out, "True\n", str(process))

    def test_takes_no_interrupt(self):
        """a thread that only computes: the ladder ends the process"""
        body = "def computes():\n    while True:\n        pass\nstart(computes)\npause()"
        process = self.ended(body, signal.SIGINT, "--grace", "1.5", threads=1)
        self.assertIn(process.status, (-signal.SIGINT, -signal.SIGKILL, 130), str(process))
        self.assertIn("rung 5", process.err)


class Terminated(Case):
    def test_main(self):
        """its finally and its exit handlers run, then it ends by the signal; threads and daemons clean up"""
        body = "atexit.register(say, 'exit')\nstart()\nstart(daemon=True)\ntry:\n    pause()\nfinally:\n    say('main')"
        self.check(body, signal.SIGTERM, status=-15, out="main awake awake exit", threads=3)

    def test_asked_to_end(self):
        """main comes first, and a thread that it asks to end is not interrupted"""
        body = """
stop = threading.Event()
def works():
    stop.wait()
    say("done")
t = start(works)
try:
    pause()
finally:
    stop.set()
    t.join()
"""
        self.check(body, signal.SIGTERM, *LONG, status=-15, out="done", threads=1)

    def test_caught(self):
        """as a SystemExit: the status is the signal's nevertheless"""
        body = "start()\ntry:\n    pause()\nexcept SystemExit:\n    say('caught')"
        self.check(body, signal.SIGTERM, *PATIENT, status=-15, out="caught awake")

    def test_handled(self):
        """a program that handles it keeps its handler"""
        body = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nstart()\npause()"
        self.check(body, signal.SIGTERM, status=7, out="awake")

    def test_forked(self):
        """a process of multiprocessing behaves as without bough"""
        body = """
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,))
child.start()
threading.Timer(0.1, child.terminate).start()
child.join()
say(str(child.exitcode))
pause()
"""
        self.check(body, signal.SIGTERM, status=-15, out="-15 ready", threads=1)


if __name__ == "__main__":
    unittest.main()
