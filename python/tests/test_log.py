# SPDX-License-Identifier: MIT
"""log_to(), which logs bough's actions by the logging module; and dump_on_signal()."""
import logging
import signal
import sys
import tempfile
import threading
import time
import unittest

import bough
from process import Process, run
from tools import Gate, ended, started, until

FIELDS = {
    *("bough_event", "bough_thread", "bough_branch", "bough_kind", "bough_reason", "bough_cause", "bough_rung", "bough_place"),
    *("bough_source", "bough_signo", "bough_count", "bough_age", "bough_suppressed"),
}


class Keeper(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def of(self, event, **fields):
        return [
            record
            for record in list(self.records)
            if record.bough_event == event and all(getattr(record, f"bough_{n}") == v for n, v in fields.items())
        ]


def waits(name):
    """Waits for an interrupt."""
    Gate().passed()


class Log(unittest.TestCase):
    def setUp(self):
        self.logger = logging.getLogger("bough")
        self.kept = Keeper()
        self.logger.addHandler(self.kept)
        self.logger.setLevel(1)
        self.logger.propagate = False
        self.addCleanup(self.logger.removeHandler, self.kept)
        self.addCleanup(bough.log_to, None)

    def one(self, event, **fields):
        until(lambda: self.kept.of(event, **fields), f"a record {event}, {fields}")
        return self.kept.of(event, **fields)[0]

    def test_posts(self):
        """an interrupt is posted, delivered and over, with the names of thread and branch"""
        bough.log_to("bough", "DEBUG")
        with bough.branch("clients") as b:
            b.add(lambda: time.sleep(100), name="reader").interrupt("closing time")
        names = {"thread": "reader", "branch": "clients", "kind": "stop", "reason": "closing time"}
        posted, over = self.one("posted", **names), self.one("over", cause="ended", **names)
        self.assertEqual((posted.levelname, over.levelname), ("INFO", "DEBUG"))
        self.assertEqual((posted.name, posted.threadName), ("bough", "bough-log"))
        self.assertEqual(posted.bough_source, threading.get_native_id())
        self.assertEqual(posted.getMessage(), "stop posted to thread 'reader' of branch 'clients': closing time")
        self.assertEqual({name for name in vars(posted) if name.startswith("bough_")}, FIELDS)

    def test_failures(self):
        """of a child, of a branch's body, of a thread; with the traceback; and the interrupt that the library posts"""
        bough.log_to(level=logging.INFO)
        for failing in "child", "body":
            with self.assertRaises(ZeroDivisionError), bough.branch("work") as b:
                if failing == "child":
                    b.add(lambda: 1 / 0, name="divider")
                else:
                    1 / 0
        hook, threading.excepthook = threading.excepthook, lambda args: None
        self.addCleanup(setattr, threading, "excepthook", hook)
        thread = bough.Thread(target=lambda: 1 / 0, name="alone")
        thread.start()
        thread.join()
        child = self.one("failed", thread="divider", branch="work")
        self.assertEqual(child.levelname, "WARNING")
        self.assertIs(child.exc_info[0], ZeroDivisionError)
        self.assertEqual(child.getMessage(), "child 'divider' of branch 'work' has failed: ZeroDivisionError: division by zero")
        self.one("failed", thread=None, branch="work")
        self.one("failed", thread="alone", branch=None)
        self.one("posted", kind="sibling", branch="work", thread=None)
        self.assertEqual(self.kept.of("delivered"), [])

    def test_ladder(self):
        """an overdue interrupt, with its rung and the place of the thread; beside the program's callback"""
        bough.log_to(level=logging.WARNING)
        bough.set_ladder(times={bough.Rung.FLAG: 0.1})
        self.addCleanup(bough.set_ladder)
        steps, go = [], threading.Event()
        bough.on_transition(steps.append)
        self.addCleanup(bough.on_transition, None)

        def deaf():
            while not go.is_set():
                pass

        thread = started(deaf)
        thread.interrupt("enough")
        record = self.one("overdue", reason="enough")
        go.set()
        ended(thread)
        until(lambda: any(step.after == 0 for step in steps), "the last step")
        self.assertEqual((record.levelname, record.bough_rung, record.bough_thread), ("ERROR", 1, thread.name))
        self.assertIn("not handled", record.bough_cause)
        self.assertIn(thread.name, record.bough_place)
        self.assertEqual(steps[0].reason, "enough")
        self.assertEqual(self.kept.of("posted"), [])

    def test_rate(self):
        """a record gives the number of records above the rate, which were suppressed"""
        bough.log_to(level=logging.INFO, rate=5)
        with bough.branch("many") as b:
            children = [b.add(time.sleep, 100) for _ in range(40)]
            for child in children:
                child.interrupt("enough")
        said = self.one("suppressed")
        until(lambda: len(self.kept.of("posted")) + sum(r.bough_suppressed for r in self.kept.of("suppressed")) >= 40, "all of them")
        self.assertEqual((said.bough_cause, said.levelname), ("posted", "INFO"))
        self.assertLess(len(self.kept.of("posted")), 40)

    def test_a_handler_that_hangs(self):
        """stops no interrupt; records without room are counted"""
        inside, leave = Gate(), Gate()

        class Hangs(logging.Handler):
            def emit(self, record):
                inside.open()
                leave.passed()

        hangs = Hangs()
        self.logger.addHandler(hangs)
        bough.log_to(level=logging.INFO, rate=100_000)
        post = bough._log._posting
        record = None
        with bough.branch("b") as b:
            b.add(waits, "x").interrupt("one")
        inside.passed()
        with bough.branch("b") as b:
            child = b.add(lambda: bough.reason(), name="y")
        record = child.result() or self.kept.records[0] and _a_record()
        for _ in range(1500):
            post(0, record, "x", "b", 0)
        self.logger.removeHandler(hangs)
        leave.open()
        lost = self.one("suppressed", cause="lost")
        self.assertGreaterEqual(lost.bough_suppressed, 400)

    def test_a_handler_that_raises(self):
        """loses only the record that it handles, which is reported"""
        reported = []
        hook, sys.excepthook = sys.excepthook, lambda *error: reported.append(error[0])
        self.addCleanup(setattr, sys, "excepthook", hook)
        raising = logging.Filter()
        raising.filter = lambda record: 1 / 0
        self.logger.addFilter(raising)
        bough.log_to()
        with bough.branch("b") as b:
            b.add(time.sleep, 100).interrupt("one")
        until(lambda: reported, "the exception")
        self.logger.removeFilter(raising)
        with bough.branch("b") as b:
            b.add(time.sleep, 100).interrupt("two")
        self.one("posted", reason="two")
        self.assertIs(reported[0], ZeroDivisionError)

    def test_arguments(self):
        for wrong in (3, object(), b"bough"):
            with self.assertRaisesRegex(TypeError, r"log_to\(\) logger must be"):
                bough.log_to(wrong)
        with self.assertRaisesRegex(ValueError, r"log_to\(\) level must be a level's name or number, got 'LOUD'. Use a name such as 'INFO'"):
            bough.log_to(level="LOUD")
        with self.assertRaises(ValueError):
            bough.log_to(rate=0)


def _a_record():
    """Makes a record."""
    with bough.branch("r") as b:
        b.interrupt("some")
        record = bough.reason()
        b.clear_interrupt()
    return record


AT_THE_END = """
import bough, logging, sys, time
class Handler(logging.StreamHandler):
    def emit(self, record):
        if sys.argv[1] == "hang":
            time.sleep(1000)
        time.sleep(0.01)
        super().emit(record)
logging.basicConfig(handlers=[Handler(sys.stdout)], level=1, format="%(bough_event)s %(bough_reason)s")
bough.log_to()
with bough.branch("b") as b:
    for number in range(10):
        b.add(time.sleep, 100).interrupt(str(number))
time.sleep(0.1)
"""

NO_THREAD = """
import _thread, atexit, bough, logging, sys, time
logging.basicConfig(stream=sys.stdout, level=1, format="%(bough_event)s %(bough_reason)s")
bough.log_to()
def once(reason):
    with bough.branch("b") as b:
        b.interrupt(reason)
        time.sleep(100)
if sys.argv[1] == "late":
    atexit.register(once, "late")
else:
    _thread.stack_size(1 << 47)  # no thread has room for that
    once("without")
    _thread.stack_size(0)
    once("with")
"""

FORKED = """
import bough, logging, os, sys, time
logging.basicConfig(stream=sys.stdout, level=1, format="%(process)d %(bough_event)s %(bough_reason)s")
bough.log_to()
def once(reason):
    with bough.branch("b") as b:
        b.add(time.sleep, 100).interrupt(reason)
once("parent")
pid = os.fork()
if pid == 0:
    once("child")
    sys.stdout.write(f"{os.getpid()} was the child\\n")  # at once: the log writes to the same stream
    sys.stdout.flush()
    sys.exit()
os.waitpid(pid, 0)
"""


FORKED_BESIDE = """
import bough, logging, os, sys, threading, time
lock, begun, forking = threading.Lock(), threading.Event(), threading.Event()

class Handler(logging.Handler):
    def emit(self, record):
        with lock:
            begun.set()
            forking.wait()
            time.sleep(0.3 if sys.argv[1] == "ends" else 1000)

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(lock.acquire(timeout=1))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

logging.basicConfig(level=1, handlers=[Handler()])
bough.log_to()
os.register_at_fork(before=forking.set)  # the last one that is registered is the first one that runs
with bough.branch("b") as b:
    b.add(time.sleep, 100).interrupt("beside")
begun.wait()
print(fork(), flush=True)
os._exit(0)
"""


class Processes(unittest.TestCase):
    def test_the_end(self):
        """waiting records are written before the interpreter ends"""
        process = run("-c", AT_THE_END, "write")
        self.assertEqual((process.out.count("posted"), process.err), (10, ""), str(process))

    def test_the_end_with_a_handler_that_hangs(self):
        """the interpreter ends nevertheless, and the lost records are counted"""
        process = run("-c", AT_THE_END, "hang")
        self.assertRegex(process.err, r"^bough: the log's handlers have not written all records in 2 s: \d+ lost\n$")
        self.assertEqual(process.status, 0)

    def test_no_thread_can_be_started(self):
        """events without a thread to log them are logged by the next thread, or at the interpreter's end"""
        process = run("-c", NO_THREAD, "late")
        self.assertEqual((process.out.count("posted late"), process.err), (1, ""), str(process))
        process = run("-c", NO_THREAD, "limit")
        self.assertEqual((process.out.count("posted"), process.err), (2, ""), str(process))

    def test_fork(self):
        """a forked process logs its events"""
        process = run("-W", "ignore", "-c", FORKED)
        lines = process.out.splitlines()
        child = next(line for line in lines if line.endswith("was the child")).split()[0]
        self.assertIn(f"{child} posted child", lines, str(process))
        self.assertNotIn(f"{child} posted parent", lines, str(process))

    def test_fork_while_a_record_is_written(self):
        """no handler's lock is held in the forked process; a handler that hangs does not stop the fork"""
        for way, status in ("ends", "1"), ("hangs", "0"):
            process = run("-W", "ignore", "-c", FORKED_BESIDE, way)
            self.assertEqual((process.out, process.err), (f"{status}\n", ""), str(process))

    def test_the_log_is_no_thread_of_the_program(self):
        """SIGTERM ends the threads, and is logged"""
        script = "import bough, logging, time\nlogging.basicConfig(level=1, format='%(message)s')\nbough.log_to()\nprint('in', flush=True)\ntime.sleep(100)"
        with Process("-c", script) as process:
            process.until("in")
            process.until_in("clock_nanosleep", main=True)
            process.process.send_signal(signal.SIGTERM)
            process.end()
        self.assertEqual(process.status, -signal.SIGTERM, str(process))
        self.assertIn("signal posted to all threads: SIGTERM", process.err)


HELD = """
import bough, ctypes, sys
bough.dump_on_signal(10, sys.stdout)
with bough.branch("held"):
    print("in", flush=True)
    ctypes.PyDLL(None).sleep(1000)
"""


class DumpOnSignal(unittest.TestCase):
    def dumped(self, *arguments, **options):
        with tempfile.TemporaryFile() as file:
            bough.dump_on_signal(signal.SIGUSR1, file, *arguments, **options)
            self.addCleanup(bough.dump_on_signal_undo, signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR1)
            self.assertIs(bough.dump_on_signal_undo(signal.SIGUSR1), True)
            self.assertIs(bough.dump_on_signal_undo(signal.SIGUSR1), False)
            file.seek(0)
            return file.read().decode()

    def test_all_threads(self):
        """a signal writes the tree to a file"""
        with bough.branch("open"):
            text = self.dumped()
        self.assertIn("branch open", text)
        self.assertTrue(text.endswith("==== end ====\n"))

    def test_one_thread(self):
        """with all_threads=False, only the thread that the signal reaches"""
        text = self.dumped(all_threads=False)
        self.assertNotIn("the tree", text)
        self.assertIn(f"({threading.get_native_id()})", text)

    def test_chain(self):
        """with chain=True the previous handler runs, Python's as well"""
        seen = []
        before = signal.signal(signal.SIGUSR1, lambda signo, frame: seen.append(signo))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.dumped()
        self.assertEqual(seen, [])
        self.dumped(chain=True)
        until(lambda: seen == [signal.SIGUSR1], "the handler")

    def test_the_gil_is_held(self):
        """it needs no GIL"""
        with Process("-c", HELD) as process:
            process.until("^in$")
            process.process.send_signal(signal.SIGUSR1)
            process.until("branch held")
            process.until("==== end ====")

    def test_errors(self):
        """as faulthandler.register() has them"""
        for wrong in signal.SIGKILL, signal.SIGSEGV, signal.SIGURG:
            with self.assertRaisesRegex(RuntimeError, f"^signal {wrong:d} can't be registered.* Use another one"):
                bough.dump_on_signal(wrong)
        for wrong in 0, -1, signal.NSIG:
            with self.assertRaises(ValueError):
                bough.dump_on_signal(wrong)
        with self.assertRaises(TypeError):
            bough.dump_on_signal("USR1")
        with self.assertRaisesRegex(TypeError, r"dump_on_signal\(\) file must be .*, got 'a path'. Give open\(path, 'a'\)"):
            bough.dump_on_signal(signal.SIGUSR1, "a path")
        with self.assertRaises(OSError):
            bough.dump_on_signal(signal.SIGUSR1, -1)
        stderr, sys.stderr = sys.stderr, None
        try:
            with self.assertRaisesRegex(RuntimeError, "sys.stderr is None"):
                bough.dump_on_signal(signal.SIGUSR1)
        finally:
            sys.stderr = stderr
