# SPDX-License-Identifier: MIT
"""Random functions whose statements record that they were entered and that they were left.

A function is a chain of nested statements with a loop in the innermost one. Each statement has a number. `with` statements and the
`try` statements with a `finally` record it in `entered` and `left`; an `except` records it in `caught`.
"""
import ast
import collections
import itertools
import random
import threading

HELPERS = """
def call(*ignored):
    return 0

def numbers():
    for number in items():
        yield number

async def async_numbers():
    for number in items():
        yield number

async def awaited():
    return 0

def drive(coroutine):
    try: coroutine.send(None)
    except StopIteration: pass
"""

# {more} is a condition, items() an iterable of zeros. In endless programs neither has an end.
LOOPS = (
    "while {more}: pass",
    "while {more}: n = n",
    "while {more}: n = len('x')",
    "while {more}: call()",
    "while {more} and not n: n = 0",
    "while not (n > 5 or not {more}): n = 0",
    "while (m := {more}) and not n: pass",
    "while {more}: n = (lambda: 0)()",
    "for n in items(): pass",
    "for n in items(): call()",
    "for n in items(): n = len('x'); n = 0",
    "for n in numbers(): pass",
    "[0 for n in items() if n]",
    "[0 for n in items() for m in (0, 0) if n]",
    "{{n: 0 for n in items() if n}}",
    "any(n for n in items())",
    "sum(map(call, items()))",
    "any(call() for n in items())",
    "while {more}:\n    n = 1\n    if n: continue\n    n = 2",
    "while {more}:\n    try: n = 1\n    except KeyError: pass",
    "while {more}:\n    try: n = 1\n    finally: n = 0",
    "while {more}:\n    with Manager(0): n = 1",
    "for n in items():\n    try: n = 1\n    except KeyError: pass",
    "for n in items():\n    with Manager(0) as m: pass",
    "for n in items():\n    with Manager(0), Manager(0): continue",
    "for n in items():\n    try: continue\n    finally: call()",
    "while {more}:\n    match n:\n        case 0: n = 1\n        case _: n = 0",
    "for n in items(): pass\nelse: call()",
)
AWAITING = (
    "async for n in async_numbers(): pass",
    "async for n in async_numbers(): call()",
    "[0 async for n in async_numbers() if n]",
    "while {more}: await awaited()",
    "while {more}: await awaited(); n = 0",
    "while {more}:\n    async with AsyncManager(0): n = 0",
)
ENDLESS_ONLY = ("while True: pass", "while 1: n = 0", "while True:\n    n = 0\n    n = 1", "while True: call()")
SIMPLE = ("n = 0", "call()", "n = len('x'); n = 0", "[n for n in (0, 0)]")


class Program:
    """`source` is the program's text. `managed` and `cleaned` are the numbers of statements that are entered and left,
    `caught_by` of those that catch and raise again."""

    def __init__(self, seed, endless):
        self.seed, self.endless = seed, endless
        self.random = random.Random(f"{seed} {endless}")
        self.number = 0
        self.managed, self.cleaned, self.caught_by, self.locks = [], [], [], []
        body = ["n = m = 0", *self.chain(self.random.randint(1, 6), False)]
        self.source = "def program():\n" + "".join(f"    {line}\n" for line in body)

    # ---- making the text

    def next_number(self):
        self.number += 1
        return self.number

    def innermost(self, in_coroutine):
        loops = LOOPS + (ENDLESS_ONLY if self.endless else ()) + 4 * (AWAITING if in_coroutine else ())
        loop = self.random.choice(loops).format(more="more" if self.endless else "next(turns)")
        return ["inside.append(1)", *loop.split("\n")]

    def chain(self, depth, in_coroutine):
        if depth == 0:
            return self.innermost(in_coroutine)
        kinds = [
            self.with_manager, self.with_manager, self.with_two, self.with_lock, self.try_finally, self.try_finally,
            self.try_except, self.try_except, self.try_both, self.loop_once, self.condition, self.function,
            self.coroutine, self.with_and_return,
        ]
        if in_coroutine:
            kinds += [self.async_with] * 4
        return self.random.choice(kinds)(depth - 1, in_coroutine)

    def beside(self):
        return [self.random.choice(SIMPLE)] if self.random.random() < 0.3 else []

    def inner(self, depth, in_coroutine, first=()):
        lines = [*first, *self.beside(), *self.chain(depth, in_coroutine), *self.beside()]
        return [f"    {line}" for line in lines]

    def one_line(self, head, last):
        return [f"{head} {last}"] if self.random.random() < 0.5 else [head, f"    {last}"]

    def with_manager(self, depth, in_coroutine):
        self.managed.append(number := self.next_number())
        head = self.random.choice(["with Manager({}):", "with Manager({}) as m:", "with (Manager({})):"])
        return [head.format(number), *self.inner(depth, in_coroutine)]

    def with_two(self, depth, in_coroutine):
        one, two = self.next_number(), self.next_number()
        self.managed += [one, two]
        head = self.random.choice(["with Manager({}) as m, Manager({}):", "with (\n    Manager({}) as m,\n    Manager({})\n):"])
        return [*head.format(one, two).split("\n"), *self.inner(depth, in_coroutine)]

    def with_lock(self, depth, in_coroutine):
        self.locks.append(number := self.next_number())
        return [f"with locks[{number}]:", *self.inner(depth, in_coroutine)]

    def with_and_return(self, depth, in_coroutine):
        self.managed.append(number := self.next_number())
        body = [f"    with Manager({number}):", *(f"    {line}" for line in self.inner(depth, False)), "        return n"]
        return [f"def function_{number}(n):", *body, f"n = function_{number}(0) or 0"]

    def async_with(self, depth, in_coroutine):
        self.managed.append(number := self.next_number())
        return [f"async with AsyncManager({number}):", *self.inner(depth, in_coroutine)]

    def try_finally(self, depth, in_coroutine):
        self.cleaned.append(number := self.next_number())
        body = self.inner(depth, in_coroutine, [f"entered.append({number})"])
        return ["try:", *body, *self.one_line("finally:", f"left.append({number})")]

    def try_except(self, depth, in_coroutine):
        self.caught_by.append(number := self.next_number())
        body = self.inner(depth, in_coroutine)
        other = self.one_line("except KeyError:", "pass") if self.random.random() < 0.3 else []
        return ["try:", *body, *other, *self.one_line("except BaseException:", f"caught.append({number}); raise")]

    def try_both(self, depth, in_coroutine):
        self.cleaned.append(number := self.next_number())
        self.caught_by.append(catching := self.next_number())
        body = self.inner(depth, in_coroutine, [f"entered.append({number})"])
        return [
            "try:", *body,
            *self.one_line("except BaseException as error:", f"caught.append({catching}); raise"),
            *self.one_line("else:", "n = 0"),
            *self.one_line("finally:", f"left.append({number})"),
        ]  # fmt: skip

    def loop_once(self, depth, in_coroutine):
        body = self.inner(depth, in_coroutine)
        if self.random.random() < 0.5:
            return ["for n in (0,):", *body]
        return ["while True:", *body, "    break"]

    def condition(self, depth, in_coroutine):
        return ["if not n:", *self.inner(depth, in_coroutine), *self.one_line("else:", "call()")]

    def function(self, depth, in_coroutine):
        name = f"function_{self.next_number()}"
        decorator = ["@once"] if self.random.random() < 0.3 else []
        call = [] if decorator else [f"{name}()"]
        return [*decorator, f"def {name}():", "    n = m = 0", *self.inner(depth, False), *call]

    def coroutine(self, depth, in_coroutine):
        name = f"coroutine_{self.next_number()}"
        body = self.inner(depth, True)
        return [f"async def {name}():", "    n = m = 0", *body, f"drive({name}())"]

    # ---- running it

    def run(self):
        """A Run of the program, for one call."""
        return Run(self)

    def bodies(self):
        """(number, lines of the try's body) of each statement that catches. A line with a `break` or `return` is not
        counted, because the exception may come after that has left the body."""
        tree = ast.parse(self.source)
        leaves = {node.lineno for node in ast.walk(tree) if isinstance(node, (ast.Break, ast.Continue, ast.Return))}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Try):
                continue
            for handler in node.handlers:
                text = ast.unparse(handler)
                if "caught.append(" in text:
                    number = int(text.partition("caught.append(")[2].partition(")")[0])
                    yield number, {*range(node.body[0].lineno, node.body[-1].end_lineno + 1)} - leaves


class Run:
    def __init__(self, program):
        self.program = program
        self.inside, self.entered, self.left, self.caught = [], [], [], []
        self.locks = {number: threading.Lock() for number in program.locks}
        self.names = {name: getattr(self, name) for name in ("inside", "entered", "left", "caught", "locks")}
        turns = itertools.cycle([1, 1, 0])
        items = (lambda: itertools.repeat(0)) if program.endless else (lambda: range(2))
        self.names.update(
            turns=turns, items=items, more=1, once=lambda function: function(),
            Manager=self.manager(), AsyncManager=self.async_manager(),
        )  # fmt: skip
        exec(compile(HELPERS, "helpers", "exec"), self.names)
        exec(compile(program.source, "program", "exec"), self.names)
        self.function = self.names["program"]

    def manager(run):
        class Manager:
            def __init__(self, number):
                self.number = number

            def __enter__(self):
                run.entered.append(self.number)

            def __exit__(self, *error):
                run.left.append(self.number)

        return Manager

    def async_manager(run):
        class AsyncManager:
            def __init__(self, number):
                self.number = number

            async def __aenter__(self):
                await Pause()
                run.entered.append(self.number)

            async def __aexit__(self, *error):
                await Pause()
                run.left.append(self.number)

        return AsyncManager

    def broken(self, lines=()):
        """The statements that an exception has skipped, as text; '' if none. The exception was raised at `lines`."""
        entered, left = collections.Counter(self.entered), collections.Counter(self.left)
        wrong = [f"{number} was not left" for number in entered if entered[number] > left[number]]
        wrong += [f"lock {number} is held" for number, lock in self.locks.items() if lock.locked()]
        for number, body in self.program.bodies():
            if number not in self.caught and any(line in body for line in lines):
                wrong.append(f"{number} did not catch")
        return "; ".join(wrong)


class Pause:
    """An awaitable that does not suspend, because a coroutine that is dropped while it is suspended can't leave its
    blocks."""

    def __await__(self):
        return iter(())
