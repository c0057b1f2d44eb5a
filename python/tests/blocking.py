# SPDX-License-Identifier: MIT
"""
Calls that block, and what an interrupt makes of them. A case is a generator function that yields one Call:

    @case
    def recv():
        a, b = socket.socketpair()
        with a, b:
            yield Call(lambda: a.recv(1), lambda: b.send(b"x"), b"x")

Each becomes three tests (`generate()`):

    interrupt   it ends with ThreadExit; the thread clears that, calls again, and gets what it would have got
    raise_exc   the same with an exception of ours, in a thread that did not ask for more than that
    as_ever     a thread that did not opt in is interrupted, and gets what it would have got, the first time
"""
import contextlib
import os
import queue
import statistics
import time
import unittest
from pathlib import Path

import bough

SCALE = float(os.environ.get("T_SCALE", 1))
ENOUGH = 20 * SCALE  # seconds in which anything that happens has happened


class Ours(Exception):
    """Posted by raise_exc(). Nothing in the standard library catches it by mistake."""


class Call:
    """`call()` blocks until `release()`, and returns `result` (None: anything). `again`: it can be called a second time,
    after a cut. `release()` runs in the main thread, when the call is blocked."""

    def __init__(self, call, release, result=None, *, again=True):
        self.call, self.release, self.result, self.again = call, release, result, again


# ---- order -----------------------------------------------------------------------------------------------------------


def switches(tid):
    """How often a thread has gone to sleep; None if it is not asleep, or has ended."""
    try:
        state = Path(f"/proc/self/task/{tid}/stat").read_text().rpartition(")")[2].split()[0]
        status = Path(f"/proc/self/task/{tid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return status.partition("\nvoluntary_ctxt_switches:")[2].split()[0] if state == "S" else None


def until_blocked(thread, looks=4):
    """Until it sleeps, and not for the interpreter's lock, for which it would wake up every 5 ms."""
    end, same, before = time.monotonic() + ENOUGH, 0, None
    while same < looks and thread.is_alive():
        now = switches(thread.native_id)
        same = same + 1 if now is not None and now == before else 0
        before = now
        if time.monotonic() > end:
            raise AssertionError(f"{thread} does not block")
        time.sleep(0.003)


# ---- a worker ----------------------------------------------------------------------------------------------------------


class Worker(bough.Thread):
    """Makes the call. If that raises, it is over with the interrupt, and makes the call once more if that can be done."""

    def __init__(self, case, io):
        super().__init__(daemon=True)
        self.enable_io_interrupt = io
        self.case, self.events = case, queue.SimpleQueue()

    def run(self):
        try:
            self.events.put(("returned", self.case.call(), time.perf_counter_ns()))
            return
        except BaseException as error:
            self.events.put(("raised", error, time.perf_counter_ns()))
        bough.clear_interrupt()
        if self.case.again:
            try:
                self.events.put(("returned", self.case.call(), 0))
            except BaseException as error:
                self.events.put(("raised", error, 0))

    def event(self, what):
        """The next, which has to be of this sort."""
        try:
            kind, value, when = self.events.get(timeout=ENOUGH)
        except queue.Empty:
            raise AssertionError(f"the call has not {what}") from None
        if kind != what:
            raise AssertionError(f"the call has {kind} {value!r}") from (value if kind == "raised" else None)
        return value, when

    def end(self):
        self.join(ENOUGH)
        if self.is_alive():
            raise AssertionError("the thread has not ended")


# ---- cases of more than one sort of sockets -------------------------------------------------------------------------------


def receiving(case, pair):
    """What waits for data, by pair(timeout=...): a context of both ends, the first of which has the timeout."""

    @case
    def recv():
        with pair() as (a, b):
            yield Call(lambda: a.recv(10), lambda: b.send(b"hello"), b"hello")

    @case
    def recv_with_a_timeout():
        with pair(timeout=3600) as (a, b):
            yield Call(lambda: a.recv(10), lambda: b.send(b"hello"), b"hello")

    @case
    def recv_into():
        with pair() as (a, b):
            yield Call(lambda: a.recv_into(bytearray(10)), lambda: b.send(b"hello"), 5)


# ---- tests ---------------------------------------------------------------------------------------------------------------

times = {}  # microseconds from the post to the exception, by case


def cut(test, make, io, post, is_it):
    with contextlib.contextmanager(make)() as case:
        worker = Worker(case, io)
        worker.start()
        until_blocked(worker)
        posted = time.perf_counter_ns()
        post(worker)
        error, when = worker.event("raised")
        times.setdefault(make.__name__, []).append((when - posted) / 1000)
        try:
            is_it(error)
            if case.again:
                until_blocked(worker)
                case.release()
                test.assertIn(worker.event("returned")[0], (case.result,) if case.result is not None else Anything())
        finally:
            error.__traceback__ = None
        worker.end()


class Anything:
    def __contains__(self, thing):
        return True


def interrupt(test, make):
    def is_it(error):
        if not isinstance(error, bough.ThreadExit):
            raise AssertionError(f"not a ThreadExit: {error!r}") from error
        test.assertEqual((error.record.kind, error.record.reason), ("stop", "enough"))

    cut(test, make, True, lambda worker: worker.interrupt("enough"), is_it)


def raise_exc(test, make):
    exc = Ours(make.__name__)

    def is_it(error):
        if error is not exc:
            raise AssertionError(f"not the instance: {error!r}") from error

    cut(test, make, False, lambda worker: worker.raise_exc(exc), is_it)


def as_ever(test, make):
    with contextlib.contextmanager(make)() as case:
        worker = Worker(case, io=False)
        worker.start()
        until_blocked(worker)
        worker.interrupt("enough")
        case.release()
        result, _ = worker.event("returned")
        test.assertIn(result, (case.result,) if case.result is not None else Anything())
        worker.end()


def begin():
    """What stays for good is there before a test counts: the courier's descriptor, opened for the first raise_exc()."""
    worker = bough.Thread(target=time.sleep, args=(3600,))
    worker.start()
    worker.terminate()
    worker.join()


def report(cases):
    medians = {make.__name__: statistics.median(times[make.__name__]) for make in cases if make.__name__ in times}
    if medians:
        print(f"# from the post to the exception: median {statistics.median(medians.values()):.0f} us over", end=" ")
        print(f"{len(medians)} calls, slowest {max(medians, key=medians.get)} {max(medians.values()):.0f} us")


def generate(module, cases):
    """A TestCase of a module's cases."""

    def method(check, make):
        def test(self):
            check(self, make)

        test.__name__ = f"test_{make.__name__}_{check.__name__}"
        test.__doc__ = make.__doc__
        for name in ("limit", "stays"):
            if hasattr(make, name):
                setattr(test, name, getattr(make, name))
        return unittest.skip(make.skip)(test) if hasattr(make, "skip") else test

    body = {"__module__": module, "setUpClass": classmethod(lambda cls: begin())}
    body["tearDownClass"] = classmethod(lambda cls: report(cases))
    for make in cases:
        for check in (interrupt, raise_exc, as_ever):
            made = method(check, make)
            body[f"test_{make.__name__}_{check.__name__}"] = made
    return type("Blocking", (unittest.TestCase,), body)
