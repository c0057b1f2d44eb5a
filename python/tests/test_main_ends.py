# SPDX-License-Identifier: MIT
"""The end of main, and an interrupted main (rule 32): real processes, and the statuses that a shell sees."""
import unittest

from signalled import Case


class MainEnds(Case):
    def test_sys_exit(self):
        self.ends("work(); sys.exit(3)", status=3, says=["worker: exit 0"])

    def test_sys_exit_in_a_function(self):
        self.ends("work()\ndef leave():\n    sys.exit(4)\nleave()", status=4, says=["worker: exit 0"])

    def test_sys_exit_that_is_caught(self):
        """no exit happens: main ends as usual, and no thread is interrupted"""
        self.ends(
            """
            done = threading.Event()
            def body():
                done.wait(10)
                say(f"worker: interrupted {bough.interruption_requested()}")
            work(body)
            try:
                sys.exit(3)
            except SystemExit:
                pass
            threading.Timer(0.2, done.set).start()
            """,
            status=0,
            says=["worker: interrupted False"],
        )

    def test_an_uncaught_exception(self):
        self.ends("work(); 1 / 0", status=1, says=["worker: exit 0", "ZeroDivisionError"])

    def test_an_ordinary_end(self):
        """interrupts no thread: main waits for threads that are no daemons, as without bough"""
        self.ends(
            """
            done = threading.Event()
            def body():
                done.wait(10)
                say(f"worker: interrupted {bough.interruption_requested()}")
            work(body)
            threading.Timer(0.2, done.set).start()
            """,
            status=0,
            says=["worker: interrupted False"],
        )

    def test_the_grace_is_not_for_exit_handlers(self):
        """when all threads have ended the exit's incident is over, and its timer is disarmed"""
        self.ends(
            """
            import atexit
            atexit.register(lambda: (time.sleep(5), say("late")))
            work()
            sys.exit(5)
            """,
            status=5,
            says=["worker: exit 0", "late"],
            env={"BOUGH_GRACE": "4"},
        )

    def test_nor_for_later_ones(self):
        """which run before those of bough, because they were registered after the process had opted in"""
        self.ends(
            """
            import atexit
            work()
            atexit.register(lambda: (time.sleep(5), say("late")))
            sys.exit(5)
            """,
            status=5,
            says=["worker: exit 0", "late"],
            env={"BOUGH_GRACE": "4"},
        )


class MainIsInterrupted(Case):
    def test_uncaught(self):
        """the status is 1, and one line gives the reason"""
        process = self.ends(
            """
            threading.Timer(0.1, bough.interrupt, [threading.main_thread(), "operator"]).start()
            with bough.set_enable_io_interrupt():
                time.sleep(3600)
            """,
            status=1,
        )
        self.assertEqual(process.err, "bough: the main thread was interrupted (stop): operator\n")

    def test_a_code_that_is_given(self):
        """counts"""
        self.ends("raise bough.ThreadExit(7)", status=7)
        self.ends("raise bough.ThreadExit()", status=0)

    def test_a_process_of_multiprocessing(self):
        """ends with the status for the signal that has interrupted it"""
        self.ends(
            """
            import multiprocessing
            def target():
                work()
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(60)
            process = multiprocessing.get_context("fork").Process(target=target)
            process.start()
            process.join()
            say(f"exit code {process.exitcode}")
            """,
            status=0,
            says=["exit code 143"],
        )


if __name__ == "__main__":
    unittest.main()
