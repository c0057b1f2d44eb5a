# SPDX-License-Identifier: MIT
"""Opting in adds no message to a program's output: no warning about threads or lines of the package, none at its end.

Each program runs twice, in separate processes: without bough, and opted in. The output is the same.
"""
import re
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from process import Process, run

OPT_IN = """
import bough
bough.opt_in()
bough.set_enable_io_interrupt(True).__enter__()
"""


class Programs(unittest.TestCase):
    def outcome(self, program, *options):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "program.py")
            path.write_text(program)
            process = run(*options, "-W", "always", path)
        output = process.out + process.err
        for number, name in (re.escape(folder), "FOLDER"), (r"0x[0-9a-f]+", "ADDRESS"), (r"(?<=pid=)\d+", "PID"):
            output = re.sub(number, name, output)
        return process.status, output

    def same(self, program, *options, opt_in=OPT_IN):
        """Runs the program with and without bough. Without it, the lines of the opt-in are empty, so that line numbers
        agree."""
        plain = self.outcome("\n" * opt_in.count("\n") + program, *options)
        self.assertEqual(self.outcome(opt_in + program, *options), plain)
        return plain


FORK = """
import os, threading
{first}
for fork in os.fork, lambda: os.forkpty()[0]:
    pid = fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
{last}
"""
BRANCH = """
import bough
with bough.branch() as b:
    for _ in range(20): b.add(int)
"""
ASYNCHRONOUS = """
import bough
bough.set_enable_async_interrupt(True)

"""


class Forks(Programs):
    """From 3.12 on a process that forks is warned if it has other threads."""

    def test_a_program_without_threads(self):
        """is not warned, whichever threads the library has started"""
        for opt_in in OPT_IN, BRANCH, ASYNCHRONOUS:
            for _ in range(5):  # each time another library thread may be starting
                _, output = self.same(FORK.format(first="", last=""), opt_in=opt_in)
                self.assertEqual(output, "")

    def test_a_program_with_threads(self):
        """is warned as without bough"""
        first = "stop = threading.Event(); thread = threading.Thread(target=stop.wait); thread.start()"
        _, output = self.same(FORK.format(first=first, last="stop.set(); thread.join()"))
        self.assertEqual(output.count("is multi-threaded, use of"), 2 if sys.version_info >= (3, 12) else 0, output)

    def test_a_child_that_runs(self):
        """is a thread of the program, which is warned; a worker that waits for work is none"""
        first = """
import bough
b = bough.branch()
b.__enter__()
runs, stop = threading.Event(), threading.Event()
b.add(lambda: (runs.set(), stop.wait()))
runs.wait()
"""
        _, output = self.outcome(FORK.format(first=first, last="stop.set(); b.__exit__(None, None, None)"))
        self.assertEqual(output.count("is multi-threaded, use of"), 2 if sys.version_info >= (3, 12) else 0, output)

    def test_the_file_that_is_read(self):
        """is unchanged for other readers"""
        program = """
import ctypes, os
def count(text):
    return int(text.rpartition(b")")[2].split()[17])
with open("/proc/self/stat", "rb") as file:
    assert count(file.read()) == len(os.listdir("/proc/self/task")) > 1
libc = ctypes.CDLL(None)
libc.fopen.restype, text = ctypes.c_void_p, ctypes.create_string_buffer(1000)
file = libc.fopen(b"/proc/self/stat", b"r")
libc.fread(text, 1, 999, ctypes.c_void_p(file))
assert count(text.value) > 1
"""
        self.assertEqual(self.outcome(OPT_IN + program)[0], 0)


class Lines(Programs):
    """A warning names the line that it names without bough."""

    def test_popen(self):
        output = self.same(
            """
import inspect, pickle, subprocess, sys
def work():
    subprocess.Popen(["true"], text=True).wait()
    subprocess.Popen(["true"], pass_fds=[1], close_fds=False).wait()
work()
class Mine(subprocess.Popen):
    def __init__(self, *args, **keywords):
        super().__init__(*args, text=True, **keywords)
Mine(["true"]).wait()
try:
    subprocess.Popen(["/is/not/there"])
except OSError as error:
    print(error)
try:
    subprocess.Popen()
except TypeError as error:
    print(error)
print(pickle.loads(pickle.dumps(subprocess.Popen.__init__)) is subprocess.Popen.__init__)
print(inspect.signature(subprocess.Popen), subprocess.Popen.__init__.__name__, subprocess.Popen.__init__.__doc__)
""",
            "-X",
            "warn_default_encoding",
        )[1]
        self.assertEqual(output.count("EncodingWarning"), 2, output)

    def test_imports(self):
        """of an extension module, and of one that bough changes"""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "uvloop.py").write_text("import warnings\nfor n in range(1, 5): warnings.warn(f'level {n}', stacklevel=n)\n")
            program = f"""
import sys
sys.path.insert(0, {folder!r})
def work():
    import uvloop
    import _testcapi
work()
"""
            output = self.same(program)[1]
        self.assertRegex(output, r"program.py:\d+: UserWarning: level 2")


LATE = """
import threading, queue, subprocess, signal, time, os, sys, concurrent.futures
class Late:
    '''Finalized when the interpreter clears the modules.'''
    def __del__(self, threading=threading, queue=queue, subprocess=subprocess, os=os, time=time, signal=signal, sys=sys):
        def say(text): os.write(1, text.encode() + b"\\n")
        {body}
        say("done")
late = Late()
"""


class Finalizers(Programs):
    """Code that runs when the interpreter has cleared its modules."""

    def late(self, body, *options):
        program = LATE.format(body=body.replace("\n", "\n        "))
        output = self.same(program, *options)[1]
        self.same(program + "sys.modules['last'] = late", *options)
        return output

    def test_it_runs(self):
        self.assertEqual(self.late("pass"), "done\n")

    def test_an_exception(self):
        output = self.late("raise KeyError('from a finalizer')")
        self.assertIn("KeyError: 'from a finalizer'", output)

    def test_system_exit(self):
        self.late("raise SystemExit(3)")

    def test_waits(self):
        output = self.late("""
condition = threading.Condition()
with condition:
    say(str(condition.wait(0.01)))
say(str(threading.Event().wait(0.01)))
try:
    queue.Queue().get(timeout=0.01)
except queue.Empty:
    say("empty")
lock = threading.Lock()
lock.acquire()
say(str(lock.acquire(timeout=0.01)))
""")
        # newer interpreters refuse such a wait, with or without bough
        if "PythonFinalizationError: cannot acquire lock" not in output:
            self.assertEqual(output, "False\nFalse\nempty\nFalse\ndone\n")

    def test_processes(self):
        self.late("say(str(subprocess.Popen(['/bin/true'], env={}).wait()))\nwith subprocess.Popen(['/bin/true'], env={}): pass")

    def test_imports(self):
        self.late("import sqlite3")

    def test_signals(self):
        """end the process, as they do without bough"""
        for name in "SIGTERM", "SIGHUP":
            self.late(f"os.kill(os.getpid(), signal.{name}); time.sleep(5)")


class Ends(unittest.TestCase):
    """Branches that a program has left open."""

    def test_branches(self):
        """end when main ends: their children are interrupted and joined"""
        for left_open, ended in (
            ("b = branch(); b.__enter__(); b.add(int)", ""),
            ("b = branch(); b.__enter__(); b.add(child)", "interrupted\n"),
            ("def g():\n    with branch() as b: yield b.add(child)\ng = g(); next(g)", "interrupted\n"),
            ("outer, inner = branch(), branch(); outer.__enter__(); inner.__enter__(); inner.add(child)", "interrupted\n"),
        ):
            program = f"""
import time
from bough import branch, ThreadExit
def child():
    try:
        begun.append(1)
        time.sleep(3600)
    except ThreadExit:
        print("interrupted")
begun = []
{left_open}
"""
            with self.subTest(left_open):
                process = run("-c", program)
                self.assertEqual((process.status, process.out, process.err), (0, ended, ""), str(process))
                process = run("-W", "always", "-c", program)
                self.assertIn("was still open when main ended; its children were interrupted and joined", process.err)
                self.assertNotIn("Error", process.err)

    def test_branches_of_the_process_that_forked(self):
        """are left alone: the end of a worker process does not end them"""
        process = run("-W", "always", "-c", """
import multiprocessing, bough
with bough.branch() as b:
    process = multiprocessing.get_context("fork").Process(target=bough.check_interrupt)
    process.start()
    process.join()
    print(process.exitcode, b)
""")
        self.assertEqual((process.out, process.err), ("0 <bough.Branch 'branch': open>\n", ""))

    def test_a_second_signal(self):
        """while the interpreter reads the status from the first signal's exception: that exception's text is not printed"""
        process = run("-c", """
import bough, os, signal, sys, time
def again(frame, event, argument):  # of a function in Python; there is none
    if event == "call" and frame.f_code.co_name in ("code", "__str__"):
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)
with bough.branch(): pass
sys.setprofile(again)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(3600)
""")
        self.assertEqual((process.status, process.out, process.err), (-signal.SIGTERM, "", ""), str(process))

    def test_an_interrupted_daemon(self):
        """the interpreter frees the daemon's thread state while its call is interrupted"""
        for _ in range(10):
            process = run("-X", "dev", "-c", """
import bough, time
def stubborn():
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass
thread = bough.Thread(target=stubborn, daemon=True)
thread.enable_io_interrupt = True
thread.start()
thread.interrupt()
""")
            self.assertEqual((process.status, process.out, process.err), (0, "", ""), str(process))

    def test_items_of_a_pool(self):
        """an exception in main ends them, even if the pool's module, which waits for its workers, was loaded after the opt-in"""
        with Process("-c", """
import bough, time
bough.opt_in(pools=True)
import concurrent.futures
def item():
    try:
        time.sleep(3600)
    finally:
        print("item ends", flush=True)
pool = concurrent.futures.ThreadPoolExecutor(1)
future = pool.submit(item)
while not future.running(): time.sleep(0.001)
raise KeyError
""") as process:
            process.end()
        self.assertEqual((process.status, process.out), (1, "item ends\n"), str(process))


if __name__ == "__main__":
    unittest.main()
