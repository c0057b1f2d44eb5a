# SPDX-License-Identifier: MIT
"""Is it safe to raise an asynchronous exception in this frame? (rule 43)

It is unsafe where the exception would break a promise of the language: in `__enter__` and `__exit__`, in finalizers, in a
`finally`, in functions that enter a context and record that it has to be left (ExitStack.enter_context()), and at an instruction
that belongs to a `try` or `with` in the source but lies outside the range of that block in the exception table. An exception at
such an instruction would skip the `__exit__`, `finally` or `except`. All frames of the thread are checked, since an exception
raised in the innermost frame may pass through all of them.

The compiler generates such instructions in several places (3.11 to 3.14, each in some versions only):

    the jump back of a loop's condition, at the end of a `try`    try: while condition: ...
    the call of __exit__ on each ordinary way out of a `with`, and the instructions that lead to it
    the handler that calls __exit__ after an exception
    the last step of entering an `async with`: __aenter__ has returned, and the range has not begun
    a jump or a `return` out of a `try` to the copy of its `finally`
    a NOP that stands for the line of a nested `try`, or for a `break` out of a `try`

They are found by their positions in the source: such an instruction lies between the first and the last position of the
instructions in the range, but is not in the range. A jump back to an instruction outside the range is left out: it belongs to a
loop around the `try`, whatever its position is.

A `finally` is found in the bytecode. Its body is compiled twice or more: into each ordinary way out, where nothing marks it, and
into an exception handler, which begins with PUSH_EXC_INFO and matches no exception. An exception in the handler leads to the
instructions that pop the first one; they directly follow the handler and so mark its end. All copies have the same line numbers,
so the handler's lines are the lines of the `finally`.
"""
import bisect
import dis
import math
import weakref

from bough._own import ITEMS, OWN, items, kept_out, loops, workers

NEVER = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__", "__del__", "__init_subclass__", "__set_name__"})

# weakref.finalize() calls the registered functions from these functions, on any thread.
FINALIZERS = frozenset({weakref.finalize.__call__.__code__, weakref.finalize._exitfunc.__code__})

# By module, functions that enter a context and then record that it has to be left: an exception in between would lose the context.
ENTER = {
    "contextlib": {
        f"{name}.{method}"
        for name in ("_BaseExitStack", "ExitStack", "AsyncExitStack")
        for method in (
            "enter_context", "enter_async_context", "push", "push_async_exit", "callback", "push_async_callback", "pop_all",
            "_push_cm_exit", "_push_async_cm_exit", "_push_exit_callback",
        )
    },
    "unittest.case": {"_enter_context"},
    "unittest.async_case": {"IsolatedAsyncioTestCase.enterAsyncContext"},
}

CLOSED, CHECKS = 1, 2  # bits of a code unit: an exception is unsafe here; the instruction checks the eval breaker

_lines = weakref.WeakKeyDictionary()
_units = weakref.WeakKeyDictionary()


def may_raise_in(frame, at_check=False, in_item=False):
    """Whether an exception may be raised now in `frame` and pass through all frames around it.

    at_check: the exception is raised when the thread checks its eval breaker, so the current instruction has to be one that does.
    in_item: the frame belongs to a pool's call, which the worker's loop calls by way of C code.
    """
    if frame.f_code.co_filename in OWN or frame.f_code.co_filename in kept_out:
        return False
    wanted, innermost = CHECKS if at_check else 0, frame
    while frame is not None:
        code = frame.f_code
        calls = code in items or (in_item and code in loops)
        if code.co_filename == ITEMS or (calls and frame is not innermost):
            return True  # the worker survives any exception of a work item (rule 45)
        if code in workers or code.co_name in NEVER or code in FINALIZERS or enters(frame):
            return False
        if unit(code, frame.f_lasti) & (CLOSED | wanted) != wanted:
            return False
        wanted = 0
        frame = frame.f_back
    return True


def enters(frame):
    names = ENTER.get(frame.f_globals.get("__name__"))
    return names is not None and frame.f_code.co_qualname in names


def unit(code, offset):
    """The bits of the instruction at `offset`, or of the instruction whose inline cache is there."""
    known = _units.get(code)
    if known is None:
        known = _units[code] = _Code(code).units()
    return known[offset // 2] if 0 <= offset < 2 * len(known) else CLOSED


def finally_lines(code):
    """The numbers of the lines in the `finally` bodies of this code object."""
    known = _lines.get(code)
    if known is None:
        known = _lines[code] = frozenset(_Code(code).finally_lines())
    return known


class _Code:
    """A code object's instructions, each with the handler of an exception in it."""

    def __init__(self, code):
        bytecode = dis.Bytecode(code)
        self.size = len(code.co_code) // 2
        self.instructions = list(bytecode)
        self.at = {instruction.offset: i for i, instruction in enumerate(self.instructions)}
        self.leads_to = _Table(bytecode.exception_entries)
        self.chains = {}
        self.handlers = [i for i in self.instructions if i.opname == "PUSH_EXC_INFO"]

    def chain(self, offset):
        """The handlers of an exception at `offset`, the innermost first."""
        known = self.chains.get(offset)
        if known is None:
            self.chains[offset] = ()  # ends the recursion if the table has a cycle
            target = self.leads_to[offset]
            known = self.chains[offset] = () if target is None else (target, *self.chain(target))
        return known

    def units(self):
        bits = {}
        for instruction in self.instructions:
            bits[instruction.offset] = CHECKS if _checks_eval_breaker(instruction.opname) else 0
        for offset in self.closed():
            bits[offset] |= CLOSED
        result = bytearray(self.size)
        value = CLOSED
        for number in range(self.size):
            value = bits.get(2 * number, value)
            result[number] = value
        return bytes(result)

    def closed(self):
        """The offsets of the instructions at which an exception is unsafe."""
        lines = set(self.finally_lines())
        for instruction in self.instructions:
            if _span(instruction) is None or instruction.opname in ("PUSH_EXC_INFO", "NOP"):
                yield instruction.offset
            elif instruction.positions.lineno in lines and not self.leads_out_of_lines(instruction, lines):
                yield instruction.offset
        for handler in self.handlers:
            yield from self.outside_of_range(handler.offset)
            if self.is_finally(handler):
                yield from (i.offset for i in self.body_of(handler))

    # ---- instructions that a try or with encloses in the source, but does not cover

    def outside_of_range(self, handler):
        covered = [i for i in self.instructions if handler in self.chain(i.offset)]
        start = self.at[covered[0].offset] if covered else 0
        begin = self.with_prologue(start) if self.is_with(handler) else []
        yield from (i.offset for i in begin)
        spans = [span for span in map(_span, covered + begin) if span is not None]
        if not spans:
            return
        first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
        for instruction in self.instructions[start:]:
            span = _span(instruction)
            if span is None or handler in self.chain(instruction.offset):
                continue
            if first <= span[0] and span[1] <= last and not self.leads_back_out(instruction, handler):
                yield instruction.offset

    def leads_back_out(self, instruction, handler):
        """Is the instruction the jump of a loop that encloses the `try`?"""
        target = instruction.argval
        return (
            "JUMP_BACKWARD" in instruction.opname and isinstance(target, int) and handler not in self.chain(target)
        )

    def leads_out_of_lines(self, instruction, lines):
        """Is the instruction the jump of a loop around a `finally`, after the end of that `finally`?"""
        target = self.at.get(instruction.argval) if "JUMP_BACKWARD" in instruction.opname else None
        positions = self.instructions[target].positions if target is not None else None
        return positions is not None and positions.lineno is not None and positions.lineno not in lines

    def is_with(self, handler):
        behind = self.at[handler] + 1
        return behind < len(self.instructions) and self.instructions[behind].opname == "WITH_EXCEPT_START"

    def with_prologue(self, start):
        """The instructions before the range: they call __enter__, or call and await __aenter__."""
        found = []
        for instruction in reversed(self.instructions[:start]):
            if not instruction.opname.startswith(_WITH_PROLOGUE):
                break
            found.append(instruction)
            if instruction.opname.startswith("BEFORE_"):
                break
        return found

    # ---- finally

    def finally_lines(self):
        for handler in self.handlers:
            if self.is_finally(handler):
                yield from _lines_of(self.body_of(handler), handler)

    def body_of(self, handler):
        end = self.leads_to[handler.offset]
        behind = self.instructions[self.at[handler.offset] + 1 :]
        return [i for i in behind if end is None or i.offset < end]

    def is_finally(self, handler):
        """The handler of an `except` matches the exception or pops it at once, that of a `with` calls __exit__; that of a `finally`
        begins with its body. A match that belongs to a `try` in this body has another handler than the body's."""
        body, end = self.body_of(handler), self.leads_to[handler.offset]
        if not body or body[0].opname in ("WITH_EXCEPT_START", "POP_TOP"):
            return False
        return not any(
            i.opname in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH") and self.leads_to[i.offset] == end for i in body
        )


# Instructions between the context manager's expression and the range of its `with`; 3.14 has no BEFORE_WITH.
_WITH_PROLOGUE = (
    "BEFORE_", "CALL", "CLEANUP_THROW", "COPY", "END_SEND", "GET_AWAITABLE", "JUMP_BACKWARD_NO_INTERRUPT", "LOAD_CONST",
    "LOAD_SPECIAL", "NOP", "PUSH_NULL", "RESUME", "SEND", "SWAP", "YIELD_VALUE",
)


def _checks_eval_breaker(opname):
    opname = opname.removeprefix("INSTRUMENTED_")
    if opname.endswith("NO_INTERRUPT"):
        return False
    return opname.startswith(("CALL", "PRECALL", "RESUME", "JUMP_BACKWARD", "POP_JUMP_BACKWARD"))


def _span(instruction):
    """The instruction's span in the source, ((line, column), (line, column)), or None."""
    place = instruction.positions
    if place is None or place.lineno is None:
        return None
    end = place.end_lineno or place.lineno
    end_column = math.inf if place.end_col_offset is None else place.end_col_offset
    return (place.lineno, place.col_offset or 0), (end, end_column)


class _Table:
    """The exception table: maps an offset to the handler of an exception there, or to None."""

    def __init__(self, entries):
        self.entries = sorted((entry.start, entry.end, entry.target) for entry in entries)
        self.starts = [start for start, _, _ in self.entries]

    def __getitem__(self, offset):
        i = bisect.bisect_right(self.starts, offset) - 1
        if i < 0 or offset >= self.entries[i][1]:
            return None
        return self.entries[i][2]


def _lines_of(handler, begin):
    """Lines of the handler's body. The instructions around the body have the line of the `try`, as the handler's first one has."""
    own = begin.positions.lineno if begin.positions else None
    for instruction in handler:
        line = instruction.positions.lineno if instruction.positions else None
        if line is not None and (line != own or instruction.opname not in ("RERAISE", "COPY", "POP_EXCEPT", "NOP")):
            yield line
