# SPDX-License-Identifier: MIT
"""Programs with branches: the end of main, Ctrl-C, fork, and the example of 2007."""
import signal
import socket
import sys
import unittest

from bough import branch
from branching import ENOUGH
from process import ROOT, Process

limit = 60
stays = ("anon_inode:*event*",)  # the async thread's descriptor, from its first use on


def program(text, *, stop=None, at="clock_nanosleep"):
    """Runs the program; `stop` is a signal, sent when it has printed "go" and main is in this call."""
    # The interpreter's warning of fork() beside threads imports modules: in a process that another thread forks
    # meanwhile, the import locks stay held by a thread that does not exist there.
    with Process("-W", "ignore::DeprecationWarning", "-c", PROGRAM + text) as run:
        if stop:
            run.until("^go$")
            run.until_in(at, main=True)
            run.send(stop)
        run.end()
    return run.status, run.out, run.err


PROGRAM = """
import bough, os, sys, threading, time
from bough import branch, ThreadExit
begun = threading.Event()
def child():
    try:
        begun.set()
        time.sleep(100)
    except ThreadExit as e:
        with bough.critical_section():  # the signal makes the body leave, and its branch posts another interrupt
            print("stopped:", e.record.kind, flush=True)
        raise
def add(b):
    c = b.add(child)
    begun.wait()
    print("go", flush=True)
    return c
"""


class Programs(unittest.TestCase):
    """The end of main, Ctrl-C, fork."""

    def test_ctrl_c_while_the_end_waits(self):
        """interrupts the children, and comes out of the block"""
        status, out, err = program(
            """
try:
    with branch() as b:
        c = add(b)
except KeyboardInterrupt as e:
    print("caught", c.outcome, e.__context__, flush=True)
""",
            stop=signal.SIGINT,
            at="futex",
        )
        self.assertEqual((status, out), (0, "go\nstopped: signal\ncaught interrupted None\n"), err)

    def test_ctrl_c_in_the_body(self):
        status, out, err = program(
            """
with branch() as b:
    add(b)
    time.sleep(100)
""",
            stop=signal.SIGINT,
        )
        self.assertEqual(status, -signal.SIGINT, err)
        self.assertIn("stopped: signal", out)
        self.assertIn("KeyboardInterrupt", err)

    def test_two_ctrl_c_are_one(self):
        """a child takes its time: the second Ctrl-C is no second failure; it goes up one rung, to a handler"""
        status, out, err = program(
            """
import signal
bough.set_ladder(grace=600)
def slow():
    with bough.handler(print), bough.critical_section():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.7)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.7)
try:
    with branch() as b:
        b.add(slow)
except KeyboardInterrupt:
    print("one")
"""
        )
        self.assertEqual((status, out), (0, "one\n"), err)
        self.assertIn("goes up to rung 2 (handler): a further event", err)

    def test_ctrl_c_anywhere(self):
        """it may be raised in any bytecode, also of the block's beginning and end: all children are joined"""
        status, out, err = program(
            """
import random, signal
alive = cut = wrong = 0
begun = False
end = time.monotonic() + 10  # a busy machine does not come to 300
def go_on():
    return cut < 300 and (cut < 3 or time.monotonic() < end)
def child(gate):
    global alive
    alive += 1
    try:
        gate.wait()
    finally:
        alive -= 1
def send():
    while not begun: time.sleep(0.001)
    while go_on():
        time.sleep(random.random() / 1000)
        os.kill(os.getpid(), signal.SIGINT)
def on_ctrl_c(signo, frame):  # a loop looks for signals in its jump, where nothing of the loop catches
    if frame.f_back is not None and go_on():
        raise KeyboardInterrupt
def one():
    global cut, wrong
    try:
        gate = threading.Event()
        with branch() as b:
            b.add(child, gate)
            b.add(child, gate)
            gate.set()
    except* KeyboardInterrupt:
        cut += 1
    wrong += alive
signal.signal(signal.SIGINT, on_ctrl_c)
threading.Thread(target=send).start()
begun = True
while cut < 300 and (cut < 3 or time.monotonic() < end):  # without a function, in which a signal would raise the exception
    try:
        one()
    except KeyboardInterrupt:
        pass
print("wrong", wrong, threading.enumerate()[0] is threading.main_thread(), flush=True)
"""
        )
        self.assertEqual((status, out), (0, "wrong 0 True\n"), err)

    def test_exit_in_a_branch(self):
        """sys.exit() in the body ends the children first"""
        status, out, err = program("with branch() as b:\n    add(b)\n    sys.exit(7)")
        self.assertEqual((status, out), (7, "go\nstopped: sibling\n"), err)

    def test_exit_in_a_child(self):
        status, out, err = program("with branch() as b:\n    add(b)\n    b.add(sys.exit, 7)")
        self.assertEqual((status, out), (7, "go\nstopped: sibling\n"), err)

    def test_sigterm(self):
        """ends the tree, and the process by the signal"""
        status, out, err = program("with branch() as b:\n    add(b)\n    time.sleep(100)", stop=signal.SIGTERM)
        self.assertEqual(status, -signal.SIGTERM, err)
        self.assertRegex(out, "stopped: (signal|sibling|stop)\n$")  # of the process, or of the branch that main leaves

    def test_daemon(self):
        """whose children still run when main ends: they are left behind, like the daemon"""
        status, out, err = program(
            """
def run():
    with branch() as b:
        for n in range(3): b.add(child)
        time.sleep(100)
threading.Thread(target=run, daemon=True).start()
time.sleep(0.3)
print("end", flush=True)
"""
        )
        self.assertEqual((status, err), (0, ""), out)
        self.assertTrue(out.endswith("end\n"))

    def test_fork_in_a_child(self):
        """the new process has that one thread, and ends with its function: flushed, and with the status of an error"""
        status, out, err = program(
            """
def forks(how):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    where = f"in the new process {how} {threading.current_thread() is threading.main_thread()}"
    if how == "fails":
        raise ValueError("in the new process")
    if how == "exits":
        sys.exit(5)
    with branch() as b:
        print(where, b.add(lambda: "adds").join())
with branch() as b:
    add(b)
    children = [b.add(forks, how, name="forker") for how in ("returns", "fails", "exits")]
    for c in children: c.join()
    print([c.result() for c in children], flush=True)
    b.interrupt()
"""
        )
        self.assertEqual(status, 0, err)
        self.assertIn("[0, 1, 5]", out)
        self.assertIn("in the new process returns True True", out)
        self.assertIn("ValueError: in the new process", err)
        self.assertIn("stopped: stop", out)

    def test_fork_in_the_body(self):
        """the branch is open in the new process as well, without the children"""
        status, out, err = program(
            """
with branch(limit=1) as b:
    c = add(b)
    pid = os.fork()
    if pid == 0:
        b.add(lambda: print("added in the new process", flush=True))
    else:
        print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), c.is_alive(), flush=True)
        b.interrupt()
if pid == 0:
    os._exit(4)
"""
        )
        self.assertEqual(status, 0, err)
        self.assertIn("added in the new process\nstatus 4 True\nstopped: stop\n", out)

    def test_multiprocessing(self):
        """by fork and by spawn, from a child"""
        status, out, err = program(
            """
import multiprocessing
def run(method):
    process = multiprocessing.get_context(method).Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    return process.exitcode
if __name__ == "__main__":
    with branch() as b:
        children = [b.add(run, method) for method in ("fork", "spawn")]
    print([c.result() for c in children])
"""
        )
        self.assertEqual((status, out), (0, "[0, 0]\n"), err)


class AcceptLoop(unittest.TestCase):
    """seeds/branch-2007, unchanged: examples/python/accept_loop.py"""

    def setUp(self):
        sys.path.insert(0, str(ROOT / "examples/python"))
        import accept_loop

        sys.path.pop(0)
        self.example = accept_loop
        self.server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.server.close)
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()

    def connect(self, count):
        for _ in range(count):
            client = socket.create_connection(self.server.getsockname())
            client.settimeout(ENOUGH)
            client.sendall(b"hello")
            self.assertEqual(client.recv(100), b"HELLO")
            self.clients.append(client)
        return self.clients

    def run_loop(self, then):
        """Runs the loop in a child, so that it can be interrupted from outside."""
        with branch() as b:
            loop = b.add(self.example.accept_loop, self.server)
            then(loop)
            loop.join()
        return loop

    def all_closed(self):
        return [client.recv(100) for client in self.clients] == [b""] * len(self.clients)

    def test_interrupted_from_outside(self):
        """the loop and all its clients end cleanly"""

        def then(loop):
            self.connect(5)
            loop.interrupt("stop the server")

        self.assertEqual(self.run_loop(then).outcome, "interrupted")
        self.assertTrue(self.all_closed())
        self.assertEqual(self.server.fileno(), -1)

    def test_first_failure_of_a_handler(self):
        """wakes the blocked accept, ends the other clients, and comes out of the loop"""

        def then(loop):
            self.connect(5)[0].sendall(b"fail\n")

        with self.assertRaisesRegex(ValueError, "asked for a failure"):
            self.run_loop(then)
        self.assertTrue(self.all_closed())

    def test_as_a_program(self):
        """Ctrl-C"""
        with Process(ROOT / "examples/python/accept_loop.py") as run:
            port = int(run.until(r"listening on port (\d+)\n").group(1))
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"hello")
                self.assertEqual(client.recv(100), b"HELLO")
                run.until_in("accept4", main=True)
                run.send(signal.SIGINT)
                self.assertEqual(client.recv(100), b"")
            self.assertEqual(run.end(), 0, run)
        self.assertEqual(run.out.splitlines()[1:], ["all clients are gone"])


if __name__ == "__main__":
    unittest.main()
