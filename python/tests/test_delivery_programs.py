# SPDX-License-Identifier: MIT
"""In random programs an asynchronous exception skips no `__exit__`, `finally` or `except` that encloses it (rule
43)."""
import dis
import gc
import os
import random
import sys
import threading
import unittest
import warnings

from bough import _async_safe
from sources import Program
from tools import ended, open_what_stays, started, until

setUpModule = open_what_stays

# The exception may be raised between the call of a coroutine function and the wait for it.
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)

AMOUNT = int(os.environ.get("BOUGH_LOSS", 1000))
SEED = int(os.environ.get("BOUGH_SEED", random.randrange(10**6)))


class Posted(BaseException):
    pass


def line_of(trace):
    """The line of a place. The jump at a loop's end has the line of the loop's last statement, which may be a `try`:
    the jump's target counts instead."""
    code, line = trace.tb_frame.f_code, trace.tb_lineno
    places = {i.offset: i for i in dis.get_instructions(code)}
    instruction = places.get(trace.tb_lasti)
    if instruction is not None and "JUMP_BACKWARD" in instruction.opname:
        line = min(line, places[instruction.argval].positions.lineno or line)
    return line


def lines_of(error):
    """The program's lines that the exception has passed."""
    trace, lines = error.__traceback__, []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "program":
            lines.append(line_of(trace))
        trace = trace.tb_next
    return lines


class Case(unittest.TestCase):
    limit = 300

    def check(self, run, lines, how):
        gc.collect(0)  # generators that were left open
        broken = run.broken(lines)
        if broken:
            self.fail(f"BOUGH_SEED={SEED}, program {run.program.seed}, {how}, at lines {lines}: {broken}\n{run.program.source}")


class Delivered(Case):
    """raise_exc() into endless programs"""

    TOGETHER = 5

    def deliver(self, seeds):
        runs = [Program(seed, endless=True).run() for seed in seeds]
        threads = [started(self.run_one, run) for run in runs]
        for run, thread in zip(runs, threads):
            until(lambda: run.inside, lambda: f"the loop of {run.program.source}")
            thread.raise_exc(Posted())
        for run, thread in zip(runs, threads):
            thread.join(30)
            self.assertFalse(thread.is_alive(), run.program.source)
            self.assertIs(type(ended(thread)), Posted, run.program.source)
            self.check(run, thread.lines, "raise_exc()")
            wanted = {*run.program.managed, *run.program.cleaned}
            self.assertLessEqual(wanted, set(run.left), run.program.source)

    def run_one(self, run):
        try:
            run.function()
        except Posted as error:
            threading.current_thread().lines = lines_of(error)
            raise

    def test_endless_programs(self):
        """all statements that enclose the loop are left"""
        seeds = [f"{SEED}-{i}" for i in range(max(10, AMOUNT // 25))]
        for i in range(0, len(seeds), self.TOGETHER):
            self.deliver(seeds[i : i + self.TOGETHER])


class EachPlace(Case):
    """At each instruction that admits an exception, by a trace function that raises it there"""

    def raise_at(self, run, number):
        """Raises at the place with this number. Returns the number of places if the program has fewer."""
        seen = 0

        def trace(frame, event, arg):
            nonlocal seen
            if frame.f_globals is not run.names:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode" and _async_safe.may_raise_in(frame):
                if seen == number:
                    raise Posted
                seen += 1
            return trace

        sys._getframe().f_trace_opcodes = True  # Python 3.12 reports no opcodes without this before settrace()
        sys.settrace(trace)
        try:
            run.function()
        except Posted as error:
            return seen, lines_of(error)
        finally:
            sys.settrace(None)
        return seen, None

    def places_of(self, program, most):
        count, _ = self.raise_at(program.run(), -1)
        self.assertGreater(count, 5, program.source)
        for number in random.Random(program.seed).sample(range(count), min(count, most)):
            run = program.run()
            _, lines = self.raise_at(run, number)
            self.assertIsNotNone(lines, program.source)
            self.check(run, lines, f"place {number}")

    def test_programs(self):
        """no statement is skipped"""
        def all_of_them():
            for i in range(max(10, AMOUNT // 50)):
                self.places_of(Program(f"{SEED}-{i}", endless=False), 40)

        thread = started(all_of_them)
        thread.join(self.limit)
        error = ended(thread)
        if error:
            raise error


if __name__ == "__main__":
    unittest.main()
