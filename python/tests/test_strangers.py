# SPDX-License-Identifier: MIT
"""Posts to threads that have not used bough. Such a thread is in the tree, is reported as overdue, and meets the
interrupt at its first use (rule 16)."""
import _thread
import ctypes
import gc
import os
import tempfile
import textwrap
import threading
import unittest

import bough
from bough import Rung, ThreadExit
from process import Process
from tools import Gate, bytecode, ended, open_what_stays, pipe, read, started, until, until_blocked

STEP = 0.1

setUpModule = open_what_stays


def dumped():
    with tempfile.TemporaryFile("w+") as file:
        bough.dump(file)
        file.seek(0)
        return file.read()


class Strangers(unittest.TestCase):
    def setUp(self):
        bough.set_ladder(times={Rung.FLAG: STEP})
        self.addCleanup(bough.set_ladder)
        self.steps = []
        bough.on_transition(self.steps.append)
        self.addCleanup(bough.on_transition, None)

    def overdue(self, name):
        return [t for t in self.steps if t.name == name and t.before == t.after]

    def reader(self, name, function=read):
        """Yields a plain thread that is blocked in os.read(), its list of what it has read, and a function that lets it
        continue."""
        pair = pipe()
        r, w = pair.__enter__()
        self.addCleanup(pair.__exit__, None, None, None)
        thread = started(function, r, cls=threading.Thread)
        thread.name = name
        until_blocked(thread)
        return thread, lambda: os.write(w, b"x")

    def assert_overdue(self, name, kind):
        until(lambda: self.overdue(name), f"the report of {name}")
        steps = self.overdue(name)[0]
        self.assertEqual(steps.kind, kind)
        self.assertIn(f"({name}) is in foreign code: read(", steps.place)
        self.assertIn("it has not used bough", steps.place)

    def test_overdue(self):
        """each way to post to one is reported as overdue, with the thread's name and its call"""
        ways = {
            "interrupted": (lambda thread: bough.interrupt(thread, "why"), "stop", type(None)),
            "by ident": (lambda thread: bough.interrupt(thread.ident), "stop", type(None)),
            "of all": (lambda thread: bough.interrupt_all_threads(), "stop", type(None)),
            "raised in": (lambda thread: bough.raise_exc(thread, KeyError), "exception", KeyError),
            "terminated": (bough.terminate, "exception", SystemExit),
        }
        for name, (post, kind, raised) in ways.items():
            with self.subTest(name):
                thread, release = self.reader(name)
                post(thread)
                self.assert_overdue(name, kind)
                release()
                self.assertIsInstance(ended(thread), raised)

    def test_in_the_tree(self):
        """the dump shows the thread as long as it lives, with its interrupts"""
        thread, release = self.reader("plain reader")
        self.assertNotIn("plain reader (", dumped())
        bough.interrupt(thread, "in the tree")
        self.assertRegex(dumped(), rf"thread plain reader \({thread.native_id}\), deferred: in foreign code: read\(")
        self.assertIn('pending stop "in the tree"', dumped())
        release()
        ended(thread)
        until(lambda: "thread plain reader" not in dumped(), "its end in the tree")

    def test_ended_meanwhile(self):
        """the incident of a thread that ends is over at once, and not reported"""
        bough.set_ladder(times={Rung.FLAG: 600})
        thread, release = self.reader("short")
        bough.interrupt(thread)
        release()
        ended(thread)
        until(lambda: "thread short" not in dumped(), "its end in the tree")
        bough.set_ladder(times={Rung.FLAG: STEP})
        late, release = self.reader("after it")
        bough.interrupt(late)
        self.assert_overdue("after it", "stop")  # reports come in order
        release()
        ended(late)
        self.assertEqual(self.overdue("short"), [])

    def test_first_use(self):
        """the thread meets the posted interrupt, with its count, at its first use; after that it works as usual"""
        def ask(fd):
            os.read(fd, 1)
            record = bough.reason()
            bough.clear_interrupt()
            return record, bough.reason()

        thread, release = self.reader("asks", ask)
        for reason in ("first", "second", "third"):
            bough.interrupt(thread, reason)
        release()
        ended(thread)
        record, after = thread.result
        self.assertEqual((record.reason, record.count, after), ("first", 3, None))

    def test_later_opt_in(self):
        """after the thread's opt-in an interrupt that was posted before ends its blocking calls"""
        def opts_in(fd):
            os.read(fd, 1)
            with bough.set_enable_io_interrupt():
                os.read(fd, 1)

        thread, release = self.reader("opts in", opts_in)
        bough.interrupt(thread, "before")
        self.assert_overdue("opts in", "stop")
        release()
        error = ended(thread)
        self.assertIsInstance(error, ThreadExit)
        self.assertEqual(error.record.reason, "before")

    def test_in_bytecode(self):
        """raise_exc() comes in bytecode, and leaves nothing behind"""
        for _ in range(5):
            thread = started(bytecode, cls=threading.Thread)
            thread.name = "in bytecode"
            bough.raise_exc(thread, KeyError)
            self.assertIsInstance(ended(thread), KeyError)
            until(lambda: "in bytecode" not in dumped(), "its end in the tree")

    def test_use_in_a_finalizer(self):
        """one that first uses bough when its thread state is cleared already leaves nothing behind"""
        class Asks:
            def __del__(self):
                asked.append(bough.interruption_requested())

        def run():
            bough.interrupt(threading.get_ident()) if early else None
            keeper.passed()
            local.asks = Asks()

        for early in False, True:
            asked, local, keeper = [], threading.local(), Gate()
            thread = started(run, cls=threading.Thread)
            thread.name = "at its end"
            bough.interrupt(thread)
            keeper.open()
            ended(thread)
            until(lambda: asked, "the finalizer")
            until(lambda: "at its end" not in dumped(), "its end in the tree")

    def test_a_collection_meanwhile(self):
        """threads that end, and finalizers that run, while all threads are made known do no harm"""
        class Ends:
            def __init__(self):
                self.me, self.thread = self, started(gone.passed, cls=threading.Thread)

            def __del__(self):
                gone.open()
                self.thread.join()

        thresholds = gc.get_threshold()
        gc.collect()
        self.addCleanup(gc.set_threshold, *thresholds)
        for _ in range(20):
            gone = Gate()
            others = [started(gone.passed, cls=threading.Thread) for _ in range(10)]
            Ends()
            gc.set_threshold(1)
            bough.interrupt_all_threads()
            gc.set_threshold(*thresholds)
            gone.open()
            for thread in others:
                ended(thread)
        gc.collect()

    def test_ladder(self):
        """the settings for such a thread can be read"""
        thread, release = self.reader("asked")
        self.assertEqual(bough.get_ladder(thread).times[Rung.FLAG], STEP)
        release()
        ended(thread)

    def test_name_of_any_bytes(self):
        """a name that the kernel has from C code need not be UTF-8: each step is reported"""
        pr_set_name = 15

        def unnamed(fd):
            ctypes.CDLL(None).prctl(pr_set_name, b"a\xffb\xc3", 0, 0, 0)
            named.open()
            os.read(fd, 1)

        named = Gate()
        with pipe() as (r, w):
            ident = _thread.start_new_thread(unnamed, (r,))
            named.passed()
            bough.interrupt(ident)
            until(lambda: self.overdue("a\ufffdb\ufffd"), "the report")
            os.write(w, b"x")
        until(lambda: any(t.after == 0 for t in self.steps), "the last step")


class Programs(unittest.TestCase):
    def test_main(self):
        """main may be such a thread: another thread posts to it while it blocks, it is reported, and goes on"""
        program = """
            import os, threading
            r, w = os.pipe()
            def told(step):
                if step.before == step.after:
                    print(step.name, step.place, flush=True)
                    os.write(w, b"x")
            def other():
                while f"{r:#x}" not in open(f"/proc/self/task/{os.getpid()}/syscall").read().split()[1:2]:
                    pass  # main is in its call
                import bough
                bough.set_ladder(times={bough.Rung.FLAG: 0.1})
                bough.on_transition(told)
                bough.interrupt(threading.main_thread())
            threading.Thread(target=other).start()
            os.read(r, 1)
        """
        with Process("-c", textwrap.dedent(program)) as process:
            process.until(r"^MainThread thread \d+ \(MainThread\) is in foreign code: read\(")
            self.assertEqual(process.end(), 0, process)

    def test_names(self):
        """a plain thread that uses bough has threading's name for it, in the tree and in reports; main, too"""
        program = """
            import os, sys, threading
            import bough
            r, w = os.pipe()
            def told(step):
                if step.before == step.after:
                    print("overdue", step.name, flush=True)
                    os.write(w, b"x")
            def uses():
                bough.check_interrupt()
                bough.dump(sys.stdout)
                known.set()
                os.read(r, 1)
            bough.check_interrupt()
            thread = threading.Thread(target=uses, name="plain one")
            known = threading.Event()
            thread.start()
            known.wait()
            bough.set_ladder(times={bough.Rung.FLAG: 0.1})
            bough.on_transition(told)
            bough.interrupt(thread)
            thread.join()
        """
        with Process("-c", textwrap.dedent(program)) as process:
            self.assertEqual(process.end(), 0, process)
        self.assertRegex(process.out, r"(?m)^  thread MainThread \(\d+\)")
        self.assertRegex(process.out, r"(?m)^  thread plain one \(\d+\)")
        self.assertRegex(process.out, "(?m)^overdue plain one$")

    def main_is_named(self, program):
        """another thread interrupts main after before(); the report about that has main's name"""
        begin = """
            import os, signal, sys, threading
            import bough
            r, w = os.pipe()
            taken = threading.Event()
            def told(step):
                print("overdue", step.name, flush=True)
                os.write(w, b"x")
            def interrupts_main(before):
                bough.set_ladder(times={bough.Rung.FLAG: 0.1})
                bough.on_transition(told)
                before()
                bough.interrupt(threading.main_thread())
        """
        with Process("-c", textwrap.dedent(begin) + textwrap.dedent(program) + "os.read(r, 1)") as process:
            self.assertEqual(process.end(), 0, process)
        self.assertRegex(process.out, "(?m)^overdue MainThread$")

    def test_name_of_main_in_a_report(self):
        """main has its name in reports although it has used only functions for which the thread need not be known"""
        self.main_is_named("""
            bough.dump(sys.stdout)
            threading.Thread(target=interrupts_main, args=[lambda: None]).start()
        """)

    def test_name_of_main_that_has_taken_the_signals(self):
        """main has its name in reports although only another thread has used bough: main handles the signals for it"""
        self.main_is_named("""
            threading.Thread(target=interrupts_main, args=[taken.wait]).start()
            while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                pass
            taken.set()
        """)

    def test_name_of_main(self):
        """main has its name in the tree although the library knew it before the package did"""
        for first_use in ("bough.opt_in()", "with bough.branch(): pass", "hasattr(bough, 'absent')"):
            with self.subTest(first_use):
                program = f"""
                    import sys, threading
                    import bough
                    {first_use}
                    bough.check_interrupt()
                    bough.dump(sys.stdout)
                """
                with Process("-c", textwrap.dedent(program)) as process:
                    self.assertEqual(process.end(), 0, process)
                self.assertRegex(process.out, r"(?m)^  thread MainThread \(\d+\)")

    def test_fork(self):
        """a process that the thread forks starts without the interrupt, which stays in the parent"""
        program = """
            import os, threading
            import bough
            go, known = threading.Event(), threading.Event()
            def forks():
                known.set()
                go.wait()
                pid = os.fork()
                if pid == 0:
                    asked = bough.interruption_requested()
                    other = threading.Thread(target=bough.check_interrupt)
                    other.start()
                    other.join()
                    os._exit(asked)
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), bough.interruption_requested(), flush=True)
            thread = threading.Thread(target=forks)
            thread.start()
            known.wait()
            bough.interrupt(thread)
            go.set()
            thread.join()
        """
        with Process("-c", textwrap.dedent(program)) as process:
            self.assertEqual(process.end(), 0, process)
            self.assertEqual(process.out, "0 True\n", process)


if __name__ == "__main__":
    unittest.main()
