# SPDX-License-Identifier: MIT
"""
Calls that block, and tests that interrupt them. A case belongs to a row of calls.txt. It is a generator function that
yields one Call:

    cases = blocking.Cases(__name__)

    @cases.case("os.read()", "an empty pipe")
    def _():
        with pipe() as (r, w):
            yield Call(lambda: os.read(r, 10), lambda: os.write(w, b"x"), b"x")

Each becomes four tests (`generate()`):

    interrupt   a bough.Thread: the call ends with ThreadExit; the thread clears it, calls again, and gets the usual result
    child       as above, in a child of a branch
    raise_exc   as above, with an exception of the test, in a thread that has not opted in
    as_ever     a thread that has not opted in is interrupted, and its first call returns the usual result

A row that limits.txt names has one test, `limit`: the interrupt does not end the call, and is delivered after it.
"""
import contextlib
import os
import queue
import re
import statistics
import threading
import time
import unittest
from pathlib import Path

import bough
import enumeration

SCALE = float(os.environ.get("T_SCALE", 1))
ENOUGH = 20 * SCALE  # seconds in which an expected event has certainly happened
A_WHILE = 0.15 * SCALE  # in which an event that must not happen would have happened
WAYS = ("interrupt", "child", "raise_exc")
TIMES = tuple(SCALE * seconds for seconds in (1, 4, 16))  # for a call that ends only after a given time


class Posted(BaseException):
    """The exception for raise_exc(). Not an Exception, because logging reports an Exception and continues."""


class Call:
    """`call()` blocks until `release()`, and returns `result` (None: anything). `release()` runs in the main thread,
    when the call is blocked. `again`: the call can be made again after it was interrupted; if not, `state` describes
    the object afterwards, for the table. `swallows`, in a row of limits.txt: the interrupt ends the call, but the call
    does not raise the interrupt's exception; a test shows that with the way `way`."""

    def __init__(self, call, release, result=None, *, again=True, state=None, swallows=False, way="interrupt"):
        if not again and state is None:
            raise TypeError("a call that can't be made again needs a state")
        self.call, self.release, self.result, self.again = call, release, result, again
        self.state = state or "usable"
        self.swallows, self.way = swallows, way

    def check(self, result):
        if self.result is not None and result != self.result:
            raise AssertionError(f"the call has returned {result!r}, not {self.result!r}")


# ---- order -----------------------------------------------------------------------------------------------------------


def switches(tid):
    """The number of times that a thread has gone to sleep; None if it is not asleep, or has ended."""
    try:
        state = Path(f"/proc/self/task/{tid}/stat").read_text().rpartition(")")[2].split()[0]
        status = Path(f"/proc/self/task/{tid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return status.partition("\nvoluntary_ctxt_switches:")[2].split()[0] if state == "S" else None


def until_blocked(thread, looks=4, pause=0.003):
    """Waits until the thread sleeps, but not for the GIL, for which it would wake up every 5 ms."""
    end, same, before = time.monotonic() + ENOUGH, 0, None
    while same < looks and thread.is_alive():
        now = switches(thread.native_id)
        same = same + 1 if now is not None and now == before else 0
        before = now
        if time.monotonic() > end:
            raise AssertionError(f"{thread} does not block")
        time.sleep(pause)


# ---- calls of objects that threading and multiprocessing have in common -------------------------------------------------


def notify(condition):
    with condition:
        condition.notify()


def wait_of(condition, *timeout):
    def call():
        with condition:
            return condition.wait(*timeout)

    return Call(call, lambda: notify(condition), True)


def wait_for_of(condition, *timeout):
    so = []

    def call():
        with condition:
            return condition.wait_for(lambda: so, *timeout)

    def release():
        so.append(1)
        notify(condition)

    return Call(call, release, [1])


def wait_at(barrier, *timeout):
    """Resets the barrier if the wait fails, so that the call can be made again."""

    def call():
        try:
            barrier.wait(*timeout)
        except BaseException:
            barrier.reset()
            raise

    return Call(call, lambda: barrier.wait())


def join_of(thread, release, *timeout):
    def call():
        thread.join(*timeout)
        return thread.is_alive()

    return Call(call, release, False)


# ---- a worker ----------------------------------------------------------------------------------------------------------


class Worker:
    """Makes the call in a thread, which is interrupted in this way. If the call raises and can be made again, it is
    made again. A context manager whose end waits for the thread."""

    def __init__(self, case, way):
        self.case, self.way = case, way
        self.events = queue.SimpleQueue()
        self.native_id, self.ended, self.posts = None, False, 0
        self.branch = bough.branch() if way == "child" else None

    def __enter__(self):
        if self.branch:
            self.branch.__enter__()
            self.target = self.branch.add(self.run)
        else:
            self.target = bough.Thread(target=self.run, daemon=True)
            self.target.enable_io_interrupt = self.way == "interrupt"
            self.target.start()
        return self

    def __exit__(self, kind, *error):
        if kind and not self.ended:
            with contextlib.suppress(Exception):
                self.case.release()
        if self.branch:
            self.branch.__exit__(kind, *error)
            return
        self.target.join(ENOUGH)
        if self.target.is_alive() and not kind:
            raise AssertionError("the thread has not ended")

    def run(self):
        self.case.ident = threading.get_ident()
        self.native_id = threading.get_native_id()
        try:
            cuts = 0
            while not self.call():
                bough.clear_interrupt()
                cuts += 1
                if not self.case.again or cuts > self.posts:
                    break
        finally:
            self.ended = True

    def call(self):
        """Makes the call. Returns whether it has returned, instead of raising."""
        try:
            result = self.case.call()
        except BaseException as error:
            self.events.put(("raised", error, time.perf_counter_ns()))
            return False
        self.events.put(("returned", result, time.perf_counter_ns()))
        return True

    def is_alive(self):
        return not self.ended

    def until_blocked(self, **how):
        end = time.monotonic() + ENOUGH
        while self.native_id is None:
            if time.monotonic() > end:
                raise AssertionError("the thread does not begin")
            time.sleep(0.0005)
        until_blocked(self, **how)
        if self.ended:
            raise AssertionError(f"the call does not block: {self.events.get()[:2]}")

    def event(self, what):
        """The value and the time of the next event. An event of another kind is a failure."""
        try:
            kind, value, when = self.events.get(timeout=ENOUGH)
        except queue.Empty:
            raise AssertionError(f"the call has not {what}") from None
        if kind != what:
            raise AssertionError(f"the call has {kind} {value!r}") from (value if kind == "raised" else None)
        return value, when

    def post(self):
        """Interrupts the thread. Returns a function that recognises the interrupt's exception."""
        self.posts += 1
        if self.way == "raise_exc":
            exc = Posted("posted")
            self.target.raise_exc(exc)
            return lambda error: error is exc
        self.target.interrupt("enough")
        return lambda error: isinstance(error, bough.ThreadExit) and error.record.reason == "enough"

    def cut(self):
        """Posts, and waits for the exception. Returns the microseconds between them."""
        begin = time.perf_counter_ns()
        is_it = self.post()
        error, when = self.event("raised")
        try:
            if not is_it(error):
                raise AssertionError(f"the call has raised {error!r}") from error
        finally:
            error.__traceback__ = error.__context__ = None
        return (when - begin) / 1000

    def finish(self):
        """Releases the call, which ends as without an interrupt."""
        self.until_blocked()
        self.case.release()
        self.case.check(self.event("returned")[0])


# ---- tests ---------------------------------------------------------------------------------------------------------------

def opened(make):
    return contextlib.contextmanager(make)(*make.arguments)


times = {}  # microseconds from the post to the exception, by row


def cut(make, way):
    with opened(make) as case, Worker(case, way) as worker:
        worker.until_blocked()
        took = worker.cut()
        times.setdefault(make.row.key, []).append(took)
        if case.again:
            worker.finish()


def as_ever(make, way="as_ever"):
    with opened(make) as case, Worker(case, way) as worker:
        worker.until_blocked()
        worker.target.interrupt("enough")
        worker.until_blocked()  # again, if the thread was woken: a signal to pause() must not come before the call
        case.release()
        case.check(worker.event("returned")[0])


def limit(make):
    """The interrupt does not end the call, or its exception does not come out of it."""
    with opened(make) as case, Worker(case, case.way) as worker:
        case.again = False
        worker.until_blocked()
        worker.post()
        if not case.swallows:
            worker.target.join(A_WHILE)
            if not worker.events.empty():
                raise AssertionError(f"limits.txt has {make.row.key}, but the call ends: {worker.events.get()}")
            case.release()
        _, value, _ = worker.events.get(timeout=ENOUGH)
        if case.swallows and isinstance(value, bough.ThreadExit):
            raise AssertionError(f"limits.txt has {make.row.key}, but the call raises {value!r}")


def begin():
    """Makes the async thread open its descriptor, which stays open, before a test counts descriptors."""
    worker = bough.Thread(target=time.sleep, args=(3600,))
    worker.start()
    worker.terminate()
    worker.join()


def report(cases):
    medians = {make.row.key: statistics.median(times[make.row.key]) for make in cases if times.get(make.row.key)}
    if medians:
        print(f"# from the post to the exception: median {statistics.median(medians.values()):.0f} us over", end=" ")
        print(f"{len(medians)} calls, slowest {max(medians, key=medians.get)} {max(medians.values()):.0f} us")


# ---- cases ---------------------------------------------------------------------------------------------------------------

ROWS = enumeration.read()
LIMITS = enumeration.limits(ROWS)


class Cases(list):
    """The cases of a module for the calls that this interpreter has, in the module's order."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def case(self, call, what):
        """A decorator, for the case of this row of calls.txt."""
        row = ROWS[call, what]

        def add(make):
            make.row, make.arguments = row, TIMES[:1] if lasts(make) else ()
            if row.is_here():
                self.append(make)
            return make

        return add

    def receiving(self, socket, pair):
        """Cases of a call that waits for data. pair(timeout=...): a context of both ends, the first of which has the timeout."""

        @self.case(f"{socket}.recv()", "no data")
        def _():
            with pair() as (a, b):
                yield Call(lambda: a.recv(10), lambda: b.send(b"hello"), b"hello")

        @self.case(f"{socket}.recv()", "no data, with a timeout")
        def _():
            with pair(timeout=3600) as (a, b):
                yield Call(lambda: a.recv(10), lambda: b.send(b"hello"), b"hello")

        @self.case(f"{socket}.recv_into()", "no data")
        def _():
            with pair() as (a, b):
                yield Call(lambda: a.recv_into(bytearray(10)), lambda: b.send(b"hello"), 5)


def lasts(make):
    """Whether the case has an argument: the seconds after which the call ends by itself."""
    return make.__code__.co_argcount > 0 and not make.__defaults__


def checks_of(make):
    limited = LIMITS.get(make.row.key)
    if limited and limited.is_here():
        return {"limit": lambda: limit(make)}
    checks = {way: lambda way=way: cut(make, way) for way in WAYS} | {"as_ever": lambda: as_ever(make)}
    if lasts(make):
        return {kind: lambda check=check: longer(make, check) for kind, check in checks.items()}
    return checks


def longer(make, check):
    """Makes the call again with more time, if it has ended before the interrupt came, as on a busy machine."""
    for seconds in TIMES:
        make.arguments = (seconds,)
        with contextlib.suppress(AssertionError) if seconds < TIMES[-1] else contextlib.nullcontext():
            return check()


def generate(cases):
    """The TestCase for a module's cases."""

    def method(name, make, check):
        def test(self):
            check()

        test.__name__ = name
        test.__doc__ = make.__doc__
        for setting in ("limit", "stays"):
            if hasattr(make, setting):
                setattr(test, setting, getattr(make, setting))
        return unittest.skip(make.skip)(test) if hasattr(make, "skip") else test

    body = {"__module__": cases.module, "setUpClass": classmethod(lambda cls: begin())}
    body["tearDownClass"] = classmethod(lambda cls: report(cases))
    for make in cases:
        for kind, check in checks_of(make).items():
            name = "_".join(["test", re.sub(r"\W+", "_", f"{make.row.call} {make.row.what}"), kind])
            if name in body:
                raise ValueError(f"{cases.module} has two cases for {make.row.key}")
            body[name] = method(name, make, check)
    return type("Blocking", (unittest.TestCase,), body)


def skip_unless(condition, why):
    """A decorator for a case that this machine can't run."""

    def mark(make):
        if not condition:
            make.skip = why
        return make

    return mark


