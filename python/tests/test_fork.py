# SPDX-License-Identifier: MIT
"""fork() without exec: the new process has the program's signal handlers, and bough starts there at its first use."""
import signal
import unittest

from test_signals import Case

FORK = """
import concurrent.futures
import multiprocessing
fork = multiprocessing.get_context("fork")

def in_new_process(target):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            target()
            status = 0
        finally:
            os._exit(status)
    say(f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")

def native_threads():
    return len(os.listdir("/proc/self/task"))

def process_id(seconds):
    time.sleep(seconds)
    return os.getpid()

here = fork.Event()

"""


class Forked(Case):
    def says(self, main, *lines):
        return self.ends(main, status=0, says=lines, before=FORK)


class Signals(Forked):
    def test_a_process_that_swallows_every_exception(self):
        """terminate() ends it, as without bough"""
        self.says(
            """
            bough.opt_in()
            def swallow():
                while True:
                    try:
                        here.set()
                        time.sleep(60)
                    except BaseException:
                        pass
            for signo in signal.SIGTERM, signal.SIGHUP:
                process = fork.Process(target=swallow)
                process.start()
                here.wait()
                here.clear()
                os.kill(process.pid, signo)
                process.join()
                say(f"exit code {process.exitcode}")
            """,
            "exit code -15",
            "exit code -1",
        )

    def test_a_busy_worker_of_a_pool(self):
        """the pool is broken, as without bough"""
        self.says(
            """
            bough.opt_in()
            def work_on():
                here.set()
                time.sleep(60)
            pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=fork)
            future = pool.submit(work_on)
            here.wait()
            process = next(iter(pool._processes.values()))
            process.terminate()
            say(type(future.exception()).__name__)
            """,
            "BrokenProcessPool",
        )

    def test_an_idle_pool_that_breaks(self):
        """the pool ends its other workers, which wait for work, as without bough"""
        self.says(
            """
            bough.opt_in()
            pool = concurrent.futures.ProcessPoolExecutor(3, mp_context=fork)
            pids = set()
            while len(pids) < 3:
                pids |= set(pool.map(process_id, [0.05] * 6))
            processes = list(pool._processes.values())
            processes[0].terminate()
            processes[0].join()
            try:
                while True:
                    pool.submit(abs, 1).result()
            except concurrent.futures.process.BrokenProcessPool:
                say("broken")
            pool.shutdown()
            say(f"exit codes {[process.exitcode for process in processes]}")
            """,
            "broken",
            "exit codes [-15, -15, -15]",
        )

    def test_a_signal_before_the_hooks_of_bough(self):
        """it ends the new process, as without bough"""
        for signo in signal.SIGTERM, signal.SIGHUP:
            self.says(
                f"""
                os.register_at_fork(after_in_child=lambda: signal.raise_signal({signo:d}))
                bough.opt_in()
                in_new_process(lambda: say("it lives"))
                """,
                f"status {-signo}",
            )

    def test_what_the_new_process_has(self):
        """the default actions, and one thread"""
        self.says(
            """
            bough.opt_in()
            work().interrupt()
            def target():
                say(f"default {[signal.getsignal(s) is signal.SIG_DFL for s in (signal.SIGHUP, signal.SIGTERM)]}")
                bough.check_interrupt()
                say(f"threads {native_threads()}")
            in_new_process(target)
            """,
            "default [True, True]",
            "threads 1",
            "status 0",
        )

    def test_a_handler_of_the_program(self):
        """a handler that was installed after the opt-in stays"""
        self.says(
            """
            bough.opt_in()
            signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
            in_new_process(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(60))
            """,
            "status 9",
        )

    def test_using_bough_in_the_new_process(self):
        """with the first Thread that the new process starts"""
        self.says(
            """
            bough.opt_in()
            def target():
                worker = work()
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(60)
                except bough.ThreadExit as exit:
                    say(f"main: {exit.record.kind}")
                worker.join()
            in_new_process(target)
            """,
            "main: signal",
            "worker: signal 15",
            "status 0",
        )

    def test_an_ordinary_end_of_a_process(self):
        """interrupts no thread: multiprocessing waits for its threads"""
        self.says(
            """
            bough.opt_in()
            def target():
                done = threading.Event()
                def body():
                    done.wait(20)
                    say(f"worker: interrupted {bough.interruption_requested()}")
                work(body)
                threading.Timer(0.2, done.set).start()
            process = fork.Process(target=target)
            process.start()
            process.join()
            say(f"exit code {process.exitcode}")
            """,
            "worker: interrupted False",
            "exit code 0",
        )


class Hooks(Forked):
    def test_the_gil_is_kept(self):
        """from the first hook before a fork to the last one after it: otherwise another thread could see an inconsistent program"""
        self.says(
            """
            import warnings
            # 3.12's warning of a fork with threads is printed in between, without the GIL
            warnings.simplefilter("ignore")
            bough.opt_in()
            turns, seen = 0, []
            def turn():
                global turns
                while True:
                    turns += 1
                    time.sleep(0)
            def note():
                seen.append(turns)
            os.register_at_fork(before=note, after_in_parent=note)
            threading.Thread(target=turn, daemon=True).start()
            bough.set_enable_async_interrupt()
            sys.setswitchinterval(1000)  # the other thread runs only if this one waits, or releases the GIL
            for _ in range(50):
                now = turns
                while turns == now:
                    time.sleep(0.001)
                in_new_process(lambda: None)
            say(f"turns in between: {sum(seen[1::2]) - sum(seen[::2])}, in all: {turns >= 50}")
            """,
            "turns in between: 0, in all: True",
        )


class Interrupts(Forked):
    def test_on_interrupt(self):
        """of the thread that forks"""
        self.says(
            """
            event = threading.Event()
            def target():
                threading.Timer(0.1, bough.interrupt, [threading.main_thread()]).start()
                say(f"called {event.wait(20)}")
            with bough.on_interrupt(event.set):
                in_new_process(target)
            """,
            "called True",
            "status 0",
        )

    def test_asynchronous_delivery(self):
        """into the thread that forks"""
        self.says(
            """
            def target():
                threading.Timer(0.1, bough.interrupt, [threading.main_thread()]).start()
                end = time.monotonic() + 20
                try:
                    while time.monotonic() < end:
                        n = 1
                except bough.ThreadExit:
                    bough.clear_interrupt()
                    say("delivered")
            bough.set_enable_async_interrupt(True)
            in_new_process(target)
            """,
            "delivered",
            "status 0",
        )

    def test_what_was_posted(self):
        """as an exception or an interrupt, to the thread that forks, stays in the parent"""
        self.says(
            """
            class Posted(Exception):
                pass

            def target():
                say(f"pending {bough.interruption_requested()}")
                bough.check_interrupt()
                end = time.monotonic() + 0.5
                while time.monotonic() < end:
                    n = 1

            bough.set_enable_async_interrupt(True)
            for post in (lambda me: bough.raise_exc(me, Posted), bough.interrupt):
                with bough.critical_section(budget=60):
                    post(threading.get_ident())
                    in_new_process(target)
                try:
                    bough.check_interrupt()
                except (Posted, bough.ThreadExit) as error:
                    say(type(error).__name__)
                bough.clear_interrupt()
            """,
            "pending False",
            "status 0",
            "Posted",
            "pending False",
            "status 0",
            "ThreadExit",
        )

    def test_children_of_the_parent(self):
        """do not exist there: join() returns, as that of threading.Thread does"""
        self.says(
            """
            with bough.branch() as b:
                child = b.add(body)
                def target():
                    say(f"alive {child.is_alive()}, joined {child.join()}, {child.outcome}")
                in_new_process(target)
                say(f"here {child.is_alive()}, {child.outcome}")
                b.interrupt()
            """,
            "alive False, joined True, lost",
            "status 0",
            "here True, running",
        )

    def test_as_completed_of_children_of_the_parent(self):
        """they have ended, also those that an iterator from before the fork waits for"""
        self.says(
            """
            with bough.branch() as b:
                done, children = b.add(int), [b.add(body, name=name) for name in "ab"]
                done.join()
                before = bough.as_completed([*children, done])
                def target():
                    for completed in before, bough.as_completed(children):
                        say(" ".join(f"{child.name} {child.outcome}" for child in completed))
                    for post in children[0].interrupt, children[0].terminate:
                        try:
                            post()
                        except bough.NotAliveError as error:
                            say(str(error))
                in_new_process(target)
                say(next(before).name)
                b.interrupt()
            """,
            "int-1 ok a lost b lost\na lost b lost\n",
            "<bough.Child 'a': lost> is not alive",
            "status 0\nint-1",
        )

    def test_join_in_the_new_process(self):
        self.says(
            """
            with bough.branch() as b:
                child = b.add(body)
                def target():
                    say(f"joined {child.join()}")
                    say(" ".join(child.outcome for child in bough.as_completed([child])))
                    with bough.branch() as other:
                        say(f"joined there {other.add(int).join()}")
                in_new_process(target)
                b.interrupt()
            """,
            "joined True\nlost\njoined there True\nstatus 0",
        )

    def test_map_whose_items_fork(self):
        """in the new process the children that run are lost"""
        self.says(
            """
            def items():
                yield 60
                pid = os.fork()
                if pid:
                    say(f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
                    raise KeyError
                yield 0
                yield 0
            try:
                with bough.branch() as b:
                    b.map(time.sleep, items(), limit=2)
            except bough.NoResultError as error:
                say(f"{error}")
                os._exit(3)
            except KeyError:
                pass
            """,
            "child 'sleep-1' has no result: it is lost",
            "status 3",
        )


if __name__ == "__main__":
    unittest.main()
