# SPDX-License-Identifier: MIT
"""
The code of the guide and of the README files when a call in it fails or is interrupted, at its first operation, its second, and so
on. It may raise any exception but a NameError (an UnboundLocalError is one) or an AssertionError, and it ends.
"""
import concurrent.futures
import asyncio
import contextlib
import inspect
import io
import threading
import unittest

import bough
from guide import ROOT, blocks, load

limit = 300
stays = ("anon_inode:*event*",)
MOST = 20  # operations at which a failure or an interrupt happens
ENOUGH = 100  # operations after which an endless loop is ended
MISTAKES = (NameError, AssertionError)
FOR_EVER = {"compute"}  # functions that only compute: start_computing() runs them


class Enough(Exception):
    """Ends a run with an endless loop."""


class Plan:
    """All operations succeed up to number `at`, which calls `happens()`."""

    def __init__(self, at, happens):
        self.at, self.happens, self.lock, self.done = at, happens, threading.Lock(), 0

    def step(self):
        with self.lock:
            self.done += 1
            now = self.done
        if now == self.at:
            self.happens()
        if now > ENOUGH:
            raise Enough
        bough.check_interrupt()  # an operation is a blocking call


class Double:
    """Replaces a connection, a function or a pool: each operation is a step of the plan, and returns another Double."""

    def __init__(self, plan):
        self._plan = plan

    def _next(self, *args, **keywords):
        self._plan.step()
        return Double(self._plan)

    __call__ = __enter__ = _next

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return Double(self._plan)

    def __exit__(self, *error):
        self._plan.step()

    def __iter__(self):
        for _ in range(3):
            yield self._next()

    def __getitem__(self, key):
        return self._next()


def mistakes(error, seen=None):
    """The exception, the members of a group, and their causes and contexts."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return []
    seen.add(id(error))
    found = [error] if isinstance(error, MISTAKES) else []
    for other in (*getattr(error, "exceptions", ()), error.__cause__, error.__context__):
        found += mistakes(other, seen)
    return found


def arguments(function, plan, pool):
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            yield pool if parameter.name == "pool" else Double(plan)


def run(function, plan):
    """Calls the function, and uses its result as a reader would: a thread is stopped, a block is entered."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        result = function(*arguments(function, plan, pool))
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        if isinstance(result, threading.Thread):
            result.terminate() if result.is_alive() else None
            result.join()
        elif isinstance(result, contextlib.AbstractContextManager) and not isinstance(result, Double):
            with result:
                plan.step()


def functions():
    """(name, function) of everything that the documents define."""
    guide = load()
    for name, value in vars(guide).items():
        if inspect.isfunction(value) and value.__module__ == "guide" and name not in FOR_EVER:
            yield name, value
    for name in "README.md", "python/README.md":
        for block in blocks((ROOT / name).read_text()):
            yield name, program(compile(block, name, "exec"))


def program(code):
    """Runs a block with the names that the reader has to define; returns the names that the block defines."""

    def block(conn, download, fetch, urls, handle_client):
        names = {"conn": conn, "download": download, "fetch": fetch, "urls": urls, "handle_client": handle_client}
        exec(code, names)
        for value in list(names.values()):
            if inspect.isfunction(value) and value.__code__.co_filename == code.co_filename:
                value(*[download] * value.__code__.co_argcount)

    return block


def fails():
    raise ConnectionError("it fails")


def is_interrupted():
    bough.interrupt(threading.get_ident(), "enough")


class Guide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        bough.opt_in(pools=True)

    def setUp(self):
        self.raised, before = [], threading.excepthook
        threading.excepthook = lambda args: self.raised.append(args.exc_value)
        self.addCleanup(setattr, threading, "excepthook", before)

    def once(self, function, at, happens):
        """Returns how many operations there were."""
        runner = bough.Thread(target=lambda: run(function, plan))
        runner.enable_io_interrupt = True
        plan = Plan(at, happens or (lambda: runner.interrupt("enough")))
        with contextlib.redirect_stdout(io.StringIO()):
            runner.start()
            runner.join()
        wrong = [mistake for error in self.raised for mistake in mistakes(error)]
        self.raised.clear()
        self.assertEqual(wrong, [])
        return plan.done

    def each(self, happens):
        for name, function in functions():
            for at in range(1, MOST + 1):
                with self.subTest(name, at=at):
                    if self.once(function, at, happens) < at:
                        break

    def test_failures(self):
        self.each(fails)

    def test_interrupts_of_what_is_called(self):
        self.each(is_interrupted)

    def test_interrupts_of_the_caller(self):
        self.each(None)

    def test_mistakes_are_found(self):
        """also in a group, and behind another exception"""

        def unbound(connect):
            try:
                value = connect()
            finally:
                print(value)

        def wrapped(connect):
            with bough.branch(strict=True) as b:
                b.add(unbound, connect)

        for function in unbound, wrapped:
            with self.assertRaises(AssertionError):
                self.once(function, 1, fails)

        def as_the_guide_had_it(fetch, urls):
            try:
                with bough.branch(strict=True) as b:
                    children = [b.add(fetch, url) for url in urls]
            except* ConnectionError:
                pass
            return [child.result() if child.outcome == "ok" else None for child in children]

        with self.assertRaises(AssertionError):
            self.once(as_the_guide_had_it, 1, fails)


if __name__ == "__main__":
    unittest.main()
