# SPDX-License-Identifier: MIT
"""Scopes nest like Trio's: random programs of scopes, points, deadlines and cancels do the same with both."""
import contextlib
import importlib.util
import math
import random
import time
import unittest

import bough

PROGRAMS = 3000
DEPTH = 4
limit = 120

# A program is a list of steps:
#   ("point",)                    an interruption point
#   ("cancel", i)                 the i-th scope around it, the innermost is 0
#   ("over", i), ("never", i)     its deadline is set to a time that has passed, or to infinity
#   ("scope", kind, over, catch, program)    a scope, whose deadline has passed or not; a TimeoutError that leaves it is
# caught or not


def program(depth=0):
    return [step(depth) for _ in range(random.randrange(1, 5))]


def step(depth):
    kind = random.choice(("point", "point", "cancel", "over", "never", "scope", "scope"))
    if kind == "scope" and depth < DEPTH:
        which = random.choice(("fail", "move_on"))
        return "scope", which, random.random() < 0.25, random.random() < 0.7, program(depth + 1)
    if kind in ("cancel", "over", "never") and depth:
        return kind, random.randrange(depth)
    return ("point",)


class Bough:
    """The steps of a program, under bough."""

    scopes = {"fail": bough.fail_at, "move_on": bough.move_on_at}
    timeout = TimeoutError

    @staticmethod
    def passed():
        return time.monotonic() - 1

    def __init__(self):
        self.trace, self.open = [], []

    def do(self, steps, at=()):
        for i, what in enumerate(steps):
            self.trace.append((*at, i))
            if what[0] == "point":
                bough.check_interrupt()
            elif what[0] == "scope":
                self.scope(*what[1:], (*at, i))
            else:
                self.to_scope(*what)

    def scope(self, which, over, catch, steps, at):
        with self.entered(which, over, catch, at):
            self.do(steps, at)

    @contextlib.contextmanager
    def entered(self, which, over, catch, at):
        try:
            with self.scopes[which](self.passed() if over else math.inf) as scope:
                self.open.append((which, scope))
                try:
                    yield
                finally:
                    self.open.pop()
            self.trace.append((*at, "behind"))
        except self.timeout:
            self.trace.append((*at, "timeout"))
            if not catch:
                raise
        finally:
            self.trace.append((*at, scope.cancelled_caught, scope.cancel_called))

    def to_scope(self, how, i):
        which, scope = self.open[-1 - i]
        # a cancelled fail_after() fails in Trio, but not in anyio
        if how == "over" or (how == "cancel" and which == "fail"):
            scope.deadline = self.passed()
        elif how == "cancel":
            scope.cancel()
        else:
            scope.deadline = math.inf

    def run(self, steps):
        try:
            self.do(steps)
        except self.timeout:
            self.trace.append("timeout")
        return self.trace


@unittest.skipUnless(importlib.util.find_spec("trio"), "trio is not installed for this interpreter")
class Nesting(unittest.TestCase):
    def test_random_programs(self):
        import trio

        class Trios(Bough):
            scopes = {"fail": trio.fail_at, "move_on": trio.move_on_at}
            timeout = trio.TooSlowError

            @staticmethod
            def passed():
                return -math.inf

            async def do(self, steps, at=()):
                for i, what in enumerate(steps):
                    self.trace.append((*at, i))
                    if what[0] == "point":
                        await trio.lowlevel.checkpoint()
                    elif what[0] == "scope":
                        await self.scope(*what[1:], (*at, i))
                    else:
                        self.to_scope(*what)
                        # Trio reads the clock when it is asked, or at a point
                        [scope.cancel_called for _, scope in self.open]

            async def scope(self, which, over, catch, steps, at):
                with self.entered(which, over, catch, at):
                    await self.do(steps, at)

            async def run(self, steps):
                try:
                    await self.do(steps)
                except self.timeout:
                    self.trace.append("timeout")
                return self.trace

        for seed in range(PROGRAMS):
            random.seed(seed)
            steps = program()
            with self.subTest(seed=seed):
                self.assertEqual(Bough().run(steps), trio.run(Trios().run, steps), steps)


if __name__ == "__main__":
    unittest.main()
