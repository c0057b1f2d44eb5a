# SPDX-License-Identifier: MIT
"""May an exception come into this frame asynchronously? (rule 43)

Not where it would break what is promised to be done: in `__enter__` and `__exit__`, in finalizers, and in `finally`, as far
as the interpreter lets it tell. All frames of the thread count, since an exception in the innermost passes them all.

A `finally` is found in the bytecode. Its body is there twice: once behind the ordinary way out, where nothing marks it, and
once as a handler of exceptions, which begins with PUSH_EXC_INFO and matches nothing. An exception in a handler leads to the
instructions that pop it, which lie right behind: that is its end. Both copies have the same line numbers, so the handler's lines
are the lines of the `finally`. One that is written on the line of its `try` is taken with it.
"""
import bisect
import dis
import weakref

from bough._own import ITEMS, OWN, workers

NEVER = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__", "__del__", "__init_subclass__", "__set_name__"})

# Where weakref.finalize() calls what was registered, on any thread.
FINALIZERS = frozenset({weakref.finalize.__call__.__code__, weakref.finalize._exitfunc.__code__})

_lines = weakref.WeakKeyDictionary()


def admits(frame):
    """Whether an exception may come in now, into `frame` and all around it."""
    if frame.f_code.co_filename in OWN:
        return False
    while frame is not None:
        code = frame.f_code
        if code.co_filename == ITEMS:
            return True  # whatever becomes of a pool's work item, the worker goes on (rule 45)
        if code in workers:
            return False
        if code.co_name in NEVER or code in FINALIZERS or frame.f_lineno in finally_lines(code):
            return False
        frame = frame.f_back
    return True


def finally_lines(code):
    """The numbers of the lines that lie in a `finally:` of this code object."""
    known = _lines.get(code)
    if known is None:
        known = _lines[code] = frozenset(_find(dis.Bytecode(code)))
    return known


def _find(bytecode):
    instructions = list(bytecode)
    leads_to = _Table(bytecode.exception_entries)
    for at, instruction in enumerate(instructions):
        if instruction.opname != "PUSH_EXC_INFO":
            continue
        end = leads_to[instruction.offset]
        handler = [i for i in instructions[at + 1 :] if end is None or i.offset < end]
        if _is_finally(handler, leads_to, end):
            yield from _lines_of(handler, instruction)


class _Table:
    """The exception table: where an exception in an instruction leads to, or None."""

    def __init__(self, entries):
        self.entries = sorted((entry.start, entry.end, entry.target) for entry in entries)
        self.starts = [start for start, _, _ in self.entries]

    def __getitem__(self, offset):
        i = bisect.bisect_right(self.starts, offset) - 1
        if i < 0 or offset >= self.entries[i][1]:
            return None
        return self.entries[i][2]


def _is_finally(handler, leads_to, end):
    """An `except` matches the exception, or drops it at once; a `with` calls __exit__; a `finally` goes straight on. What
    matches in a `try` inside of it leads elsewhere."""
    if not handler or handler[0].opname in ("WITH_EXCEPT_START", "POP_TOP"):
        return False
    return not any(
        i.opname in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH") and leads_to[i.offset] == end for i in handler
    )


def _lines_of(handler, begin):
    """What only belongs to the machinery has the line of the `try`, as the handler's begin."""
    own = begin.positions.lineno if begin.positions else None
    for instruction in handler:
        line = instruction.positions.lineno if instruction.positions else None
        if line is not None and (line != own or instruction.opname not in ("RERAISE", "COPY", "POP_EXCEPT", "NOP")):
            yield line
