# SPDX-License-Identifier: MIT
"""Signals (rule 32): real processes, and the statuses that a shell sees."""
import contextlib
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from process import LIMIT, SCALE, Process, run
from signalled import AFTER_ONE_EVENT, PROGRAM, Case, program, until_it_computes

CAP = LIMIT / 2  # seconds in which the ladder, whose grace is 4 to 6 s, has ended a process, even on a busy machine
# The exit has a quarter of the grace, 1.5 s, before the process is killed.


class Unhandled(Case):
    """The signal is not handled: all threads are interrupted and end, the status is the usual one."""

    def test_sigterm(self):
        """in a program that sleeps: main gets an exception, its finally runs"""
        self.ends(
            """
            work()
            try:
                ready()
                time.sleep(3600)
            finally:
                say("main: finally")
            """,
            signal.SIGTERM,
            status=-signal.SIGTERM,
            says=["worker: signal 15", "main: finally"],
        )

    def test_sighup(self):
        self.ends("work(); ready(); time.sleep(3600)", signal.SIGHUP, status=-signal.SIGHUP, says=["worker: signal 1"])

    def test_ctrl_c(self):
        """a KeyboardInterrupt that main does not catch"""
        self.ends(
            "work(); ready(); time.sleep(3600)",
            signal.SIGINT,
            status=-signal.SIGINT,
            says=["worker: signal 2", "KeyboardInterrupt"],
        )

    def test_in_a_join(self):
        """main waits for the thread, as in most programs"""
        for signo in signal.SIGTERM, signal.SIGINT:
            main = "worker = work(); ready(); worker.join()"
            self.ends(main, signo, at="futex", status=-signo, says=[f"worker: signal {signo:d}"])

    def test_main_is_not_interrupted_by_it(self):
        """another thread takes the signal, and main waits in a call that no interrupt ends: main is woken nevertheless"""
        main = """
            import multiprocessing
            bough.opt_in()
            lock = LOCK
            lock.acquire()
            other = threading.Thread(target=time.sleep, args=(3600,), daemon=True)
            other.start()
            say(f"other {other.ident}")
            def send():
                sys.stdin.read(1)
                signal.pthread_kill(other.ident, signal.SIGNAL)
            threading.Thread(target=send, daemon=True).start()
            lock.acquire()
            """
        for lock in "multiprocessing.get_context('fork').Lock()", "threading.Lock()":
            for signo in signal.SIGTERM, signal.SIGHUP:
                arguments = program(main.replace("LOCK", lock).replace("SIGNAL", signo.name))
                with Process(*arguments, stdin=subprocess.PIPE) as process:
                    process.until("other")
                    process.until_in("futex", main=True)
                    process.process.stdin.write(b"x")
                    process.process.stdin.flush()
                    self.assertEqual(process.end(), -signo, str(process))
                self.assertNotIn("rung", process.err)  # the ladder would end it after 5 s

    def test_in_a_branch(self):
        """main is a branch's body: the block's end joins the children, and then the exception propagates"""
        self.ends(
            """
            with bough.branch() as b:
                b.add(body)
                ready()
                time.sleep(3600)
            """,
            signal.SIGTERM,
            status=-signal.SIGTERM,
            says=["worker: s"],  # "signal", or "stop" if the body that the signal has ended interrupts it
        )

    def test_while_main_runs_bytecode(self):
        self.ends(
            """
            work()
            ready()
            while True:
                n = 1
            """,
            signal.SIGTERM,
            at=None,
            status=-signal.SIGTERM,
            says=["worker: signal 15"],
        )

    def test_exit_handlers_run(self):
        self.ends(
            """
            import atexit
            atexit.register(say, "atexit")
            work()
            ready()
            time.sleep(3600)
            """,
            signal.SIGTERM,
            status=-signal.SIGTERM,
            says=["worker: signal 15", "atexit"],
        )

    def test_another_thread_opts_in_first(self):
        """only main can take signals over, and it does so nevertheless"""
        self.ends(
            """
            starter = threading.Thread(target=work)
            starter.start()
            starter.join()
            time.sleep(0)
            while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                n = 1
            ready()
            time.sleep(3600)
            """,
            signal.SIGTERM,
            status=-signal.SIGTERM,
            says=["worker: signal 15"],
        )

    def test_run_as_a_module(self):
        """the outermost frame is runpy's, and makes no difference"""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "server.py").write_text(PROGRAM + "work()\nsys.exit(7)\n")
            with Process("-m", "server", path=[folder]) as process:
                self.assertEqual(process.end(), 7, str(process))
        self.assertIn("worker: exit 0", process.out)


OPTS_IN = """
def window(name):
    is_python = signal.getsignal(signal.{signo.name}) is not signal.SIG_DFL
    if name == {name!r} and is_python == ("Python" in name):
        os.kill(os.getpid(), signal.{signo.name})

bough._bough.set_window(window)
bough.opt_in()
time.sleep(3600)
"""


class WhileOptingIn(Case):
    """A signal that comes during the opt-in ends the program as it would without bough."""

    def test_at_each_step(self):
        """before the library handles the signals, after that, and when Python has a handler that the library does not
        know"""
        for name in "opt in: calls are interposed", "signals: the library has them", "signals: Python has one":
            for signo in signal.SIGTERM, signal.SIGHUP:
                with self.subTest(name, signo=signo):
                    process = self.ends(OPTS_IN.format(name=name, signo=signo), status=-signo)
                    self.assertNotIn("rung", process.err)  # it has ended at once, not by the ladder


class Handled(Case):
    def test_ctrl_c(self):
        """a Ctrl-C that main catches interrupts no other thread"""
        self.ends(
            """
            done = threading.Event()
            def body():
                done.wait(20)
                say(f"worker: interrupted {bough.interruption_requested()}")
            worker = work(body)
            try:
                ready()
                time.sleep(3600)
            except KeyboardInterrupt:
                say("handled")
            done.set()
            worker.join()
            bough.check_interrupt()
            """,
            signal.SIGINT,
            status=0,
            says=["handled", "worker: interrupted False"],
        )

    def test_sigterm(self):
        """a signal that main catches and clears is over for all threads"""
        self.ends(
            """
            seen = []
            def body():
                while not bough.interruption_requested():
                    time.sleep(0.01)
                seen.append(1)
                while bough.interruption_requested():
                    time.sleep(0.01)
                say("worker: no more")
            worker = work(body, bough.ProtectedThread)
            try:
                ready()
                time.sleep(3600)
            except bough.ThreadExit as exit:
                while not (told := exit.record):
                    pass
                while not seen:
                    pass
                say(f"cleared {bough.clear_interrupt()}")
            worker.join()
            """,
            signal.SIGTERM,
            status=0,
            says=["cleared True", "worker: no more"],
        )

    def test_a_handler_of_the_program(self):
        """keeps its signal"""
        self.ends(
            """
            signal.signal(signal.SIGTERM, lambda *_: say("mine") or os._exit(9))
            work()
            ready()
            time.sleep(3600)
            """,
            signal.SIGTERM,
            status=9,
            says=["mine"],
        )

    def test_ignored(self):
        """a signal that nohup ignores stays ignored"""
        process = self.ends(
            """
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            worker = work()
            ready()
            os.kill(os.getpid(), signal.SIGHUP)
            worker.join(0.2)
            say(f"alive {worker.is_alive()}")
            worker.interrupt()
            """,
            status=0,
            says=["alive True"],
        )
        self.assertIn("worker: stop", process.out)

    def test_importing_and_opting_out(self):
        """importing takes no signal over, opting out restores them"""
        self.ends(
            """
            print("before", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
            bough.opt_in()
            print("in", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
            bough.opt_out()
            say(f"out {signal.getsignal(signal.SIGTERM) is signal.SIG_DFL}")
            os.kill(os.getpid(), signal.SIGTERM)
            """,
            status=-signal.SIGTERM,
            says=["before True", "in False", "out True"],
        )

    def test_blocked_by_its_parent(self):
        """multiprocessing starts processes with signals blocked, and unblocks them there later: nothing is reported"""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            process = run("-c", "import bough, signal; bough.opt_in(); print(signal.pthread_sigmask(0, []))")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.assertIn("SIGTERM", process.out)
        self.assertEqual((process.status, process.err), (0, ""), str(process))


class Interactive(Case):
    def test_the_prompt(self):
        """errors at the prompt interrupt no thread; the session's end waits for threads"""
        with Process("-i", "-q", stdin=subprocess.PIPE) as process:
            for line, answer in (
                (f"exec({PROGRAM!r})", None),
                ("worker = work()", None),
                ("1/0", None),
                ("ready()", "ready"),
                ("say(f'alive {worker.is_alive()}')", "alive True"),
                ("worker.interrupt()", "worker: stop"),
            ):
                process.process.stdin.write(line.encode() + b"\n")
                process.process.stdin.flush()
                if answer:
                    process.until(answer)
            self.assertEqual(process.end(), 0, str(process))


class Climbs(Case):
    """A thread that ignores the exit does not keep the process alive, nor does one that holds the GIL."""

    def test_main_is_stuck_in_c(self):
        """ctypes releases the GIL: all other threads end, main's C call does not"""
        process = self.ends(
            """
            work()
            ready()
            while True:
                ctypes.CDLL(None).pause()
            """,
            signal.SIGTERM,
            at="pause",
            status=-signal.SIGTERM,
            says=["worker: signal 15"],
            env={"BOUGH_GRACE": "6"},
        )
        self.assertLess(process.took, CAP)

    def test_the_gil_is_held_indefinitely(self):
        """the warden does not need the GIL: the process ends within the cap, and the report names the thread that hung"""
        main = """
            import collections, itertools
            work()
            ready()
            collections.deque(itertools.repeat(0), maxlen=0)  # in C, and looks at no signal
            """
        with Process(*program(main), env={"BOUGH_GRACE": "6"}) as process:
            process.until("ready")
            until_it_computes(process.process.pid)
            process.send(signal.SIGTERM)
            self.assertEqual(process.end(), -signal.SIGTERM, str(process))
        self.assertLess(process.took, CAP)
        self.assertIn("goes up to rung 5 (exit)", process.err)

    def stuck(self, main, *signals, grace, how):
        """A program whose main waits in C indefinitely, before any of bough's threads has run code of the program."""
        main = f"""
            bough.opt_in()
            {main}
            mutex = ctypes.create_string_buffer(64)
            libc = ctypes.{how}(None)
            libc.pthread_mutex_lock(mutex)
            ready()
            libc.pthread_mutex_lock(mutex)
            """
        with Process(*program(main), env={"BOUGH_GRACE": str(grace)}) as process:
            process.until("ready")
            process.until_in("futex", main=True)
            for signo in signals:
                process.send(signo)
                process.until_taken(signo)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.process.wait(AFTER_ONE_EVENT)
            process.end()
        return process

    def test_only_main(self):
        """main alone, in a deadlock of C code, with or without the GIL"""
        for how in "CDLL", "PyDLL":
            process = self.stuck("", signal.SIGTERM, grace=6, how=how)
            self.assertEqual(process.status, -signal.SIGTERM, str(process))
            self.assertLess(process.took, CAP)
            self.assertIn("goes up to rung 5 (exit)", process.err)

    def test_a_second_signal_and_main_in_c(self):
        """long before the grace is over"""
        process = self.stuck("", signal.SIGTERM, signal.SIGTERM, grace=60, how="PyDLL")
        self.assertEqual(process.status, -signal.SIGTERM, str(process))
        self.assertIn("a further event", process.err)
        self.assertLess(process.took, 20 * SCALE)

    def test_the_exit_hangs_too(self):
        """the process dies at the cap, with a dump, although no thread can get the GIL"""
        with tempfile.TemporaryDirectory() as folder:
            dump = Path(folder, "dump")
            main = f"""bough.last_words({str(dump)!r})
            at_exit = ctypes.CFUNCTYPE(None)(lambda: None)  # needs the GIL
            ctypes.CDLL(None).__cxa_atexit(at_exit, None, None)"""
            process = self.stuck(main, signal.SIGTERM, grace=4, how="PyDLL")
            self.assertEqual(process.status, -signal.SIGKILL, str(process))
            self.assertLess(process.took, CAP)
            self.assertIn("MainThread", dump.read_text())

    def test_a_second_signal_promotes(self):
        """as a second Ctrl-C does in C: the exit begins at once"""
        main = """
            def deaf():
                while True:
                    try:
                        time.sleep(3600)
                    except bough.ThreadExit:
                        say("heard")
            work(deaf)
            ready()
            while True:
                try:
                    time.sleep(3600)
                except bough.ThreadExit:
                    pass
            """
        with Process(*program(main), env={"BOUGH_GRACE": "60"}) as process:
            process.until("ready")
            process.until_in("clock_nanosleep", main=True)
            process.send(signal.SIGTERM)
            process.until("heard")
            time.sleep(AFTER_ONE_EVENT)
            process.send(signal.SIGTERM)
            self.assertEqual(process.end(), -signal.SIGTERM, str(process))
        self.assertLess(process.took, 20 * SCALE)


if __name__ == "__main__":
    unittest.main()
