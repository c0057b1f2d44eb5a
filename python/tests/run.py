# SPDX-License-Identifier: MIT
"""
run.py FILE [NAME...]: runs the unittest tests of a file, or those of these names, each as a line of TAP.

A test has a time limit (`limit`, in seconds, of the method, class or module; T_SCALE stretches it): past it, the stacks
of all threads are printed and the process ends. A test that leaves a thread, a descriptor, a child process or a blocked
signal behind has failed. `stays` lists what may stay (a descriptor that is opened once, or that the code that has opened it
before the test closes later): a tuple of patterns for the descriptor's target or the thread's name, in the same places.
"""
import faulthandler
import fnmatch
import gc
import importlib.util
import os
import signal
import sys
import threading
import time
import traceback
import unittest
from pathlib import Path

LIMIT = 60
SCALE = float(os.environ.get("T_SCALE", 1))
SETTLE = 2.0  # seconds in which leftovers may end by themselves: a joined thread stays in /proc for a moment
# These stay open for later use: the library's threads and files; libffi's file, from which it maps its trampolines on
# some systems.
KEPT = ("bough*", "*/libffi.so*")


def setting(test, name, default):
    """The setting of the test's method, else of its class, else of its module."""
    method = getattr(test, getattr(test, "_testMethodName", ""), None)
    for place in (method, test, sys.modules.get(type(test).__module__)):
        if hasattr(place, name):
            return getattr(place, name)
    return default


# ---- what a test leaves behind ---------------------------------------------------------------------------------------


def targets():
    """The target of each open descriptor, by number, except the descriptor of this listing."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found["descriptor " + fd] = os.readlink("/proc/self/fd/" + fd)
        except FileNotFoundError:
            pass
    return found


def tasks():
    """The name of each thread that the kernel lists, including threads that Python does not know."""
    found = {}
    for tid in os.listdir("/proc/self/task"):
        try:
            found["thread " + tid] = Path(f"/proc/self/task/{tid}/comm").read_text(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def known_threads():
    return {f"threading's {thread.ident}": thread.name for thread in threading.enumerate()}


def child_processes():
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return {}
    return {"child process": f"{ended.si_pid}, not waited for" if ended else "that runs"}


def blocked_signals():
    return {f"blocked signal {int(number)}": "" for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}


def stop_helpers():
    """Ends multiprocessing's helper processes, which would stay until the interpreter ends. In 3.14 most objects start
    one."""
    for name in "forkserver", "resource_tracker":
        module = sys.modules.get(f"multiprocessing.{name}")
        if module:
            getattr(module, f"_{name}")._stop()


class State:
    """The threads, descriptors, child processes and blocked signals of a moment, and those that were added since."""

    def __init__(self):
        self.before = self.now()

    @staticmethod
    def now():
        return targets() | tasks() | known_threads() | child_processes() | blocked_signals()

    def added(self, stays):
        after = self.now()
        named = lambda v: any(fnmatch.fnmatch(v, s) for s in stays)  # noqa: E731
        new = {k: v for k, v in after.items() if self.before.get(k) != v and not named(v)}
        lost = {k: v for k, v in self.before.items() if k.startswith("descriptor") and k not in after and not named(v)}
        return [f"left behind: {k} {v}" for k, v in new.items()] + [f"closed: {k} {v}" for k, v in lost.items()]

    def leaks(self, stays):
        end = time.monotonic() + SETTLE * SCALE
        faults = self.added(stays)
        if any("child process" in fault for fault in faults):
            stop_helpers()
            faults = self.added(stays)
        while faults and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
            faults = self.added(stays)
        return faults


# ---- TAP -------------------------------------------------------------------------------------------------------------


def title(test):
    if not isinstance(test, unittest.TestCase):  # the failure of setUpClass() or setUpModule()
        return str(test)
    names = test.id().split(".")[-2:]
    return ".".join(names) + (f": {test.shortDescription()}" if test.shortDescription() else "")


def comment(text):
    for line in text.splitlines():
        print("#", line)


class Tap(unittest.TestResult):
    """One line for each test, followed by the reasons of a failure as comments."""

    def __init__(self):
        super().__init__()
        self.number, self.failed, self.faults, self.reason, self.running = 0, 0, [], None, False

    def startTest(self, test):
        super().startTest(test)
        self.faults, self.reason, self.running = [], None, True
        self.state = State()
        faulthandler.dump_traceback_later(setting(test, "limit", LIMIT) * SCALE, exit=True, file=sys.__stderr__)

    def stopTest(self, test):
        if not self.running:
            return
        faulthandler.cancel_dump_traceback_later()  # first, because it has a thread
        leaks = self.state.leaks((*KEPT, *setting(test, "stays", ())))
        self.say(title(test), self.faults + leaks, self.reason)
        self.running = False
        super().stopTest(test)

    def say(self, name, faults, reason=None):
        self.number += 1
        self.failed += bool(faults)
        skipped = f" # SKIP {reason}" if reason is not None and not faults else ""
        print(f"{'not ' if faults else ''}ok {self.number} - {name.replace('#', '')}{skipped}")
        for fault in faults:
            comment(fault)
        sys.stdout.flush()

    def fault(self, test, error):
        text = "".join(traceback.format_exception(*error))
        if self.running:
            self.faults.append(text)
        else:
            self.say(title(test), [text])

    addError = addFailure = fault

    def addSubTest(self, test, subtest, error):
        if error:
            self.faults.append(f"{subtest}:\n" + "".join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        if self.running:
            self.reason = reason
        else:  # 3.12.1 does not call startTest() for a skipped test
            self.say(title(test), [], reason)

    def addExpectedFailure(self, test, error):
        pass

    def addUnexpectedSuccess(self, test):
        self.faults.append("it was expected to fail")


def load(path, names):
    """Loads the module by its file's name. Its folder is on the path, so that it can import the helpers."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loader = unittest.TestLoader()
    return loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)


def take_signals():
    """Resets signals that are ignored in the background of a shell or under nohup: each process that a test starts would inherit
that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signo in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(signo, signal.SIG_DFL)


def main(path, *names):
    faulthandler.enable()
    take_signals()
    suite = load(Path(path).resolve(), names)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = Tap()
    suite.run(result)
    sys.stdout.flush()
    return result.failed > 0 or result.number == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
