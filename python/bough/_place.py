# SPDX-License-Identifier: MIT
"""May an exception come into this frame asynchronously? (rule 43)

Not where it would break what is promised to be done: in `__enter__` and `__exit__`, in finalizers, and in `finally`, as far
as the interpreter lets it tell. All frames of the thread count, since an exception in the innermost passes them all.

A `finally` is found in the bytecode. Its body is there twice: once behind the ordinary way out, where nothing marks it, and
once as a handler of exceptions, which begins with PUSH_EXC_INFO, matches nothing and ends with RERAISE. Both copies have the
same line numbers: so the handler's lines are the lines of the `finally`.
"""
import dis
import weakref

NEVER = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__", "__del__", "__init_subclass__", "__set_name__"})

workers = set()  # code of functions that wait for work, and would end by an exception

_lines = weakref.WeakKeyDictionary()


def admits(frame):
    """Whether an exception may come in now, into `frame` and all around it."""
    if frame.f_code.co_filename in _OWN:
        return False
    while frame is not None:
        code = frame.f_code
        if code.co_filename == _ITEMS:
            return True  # whatever becomes of a pool's work item, the worker goes on (rule 45)
        if code in workers:
            return False
        if code.co_name in NEVER or frame.f_lineno in finally_lines(code):
            return False
        frame = frame.f_back
    return True


def is_own(frame):
    """Is one of the package's own functions at work?"""
    return frame is not None and frame.f_code.co_filename in _OWN


def finally_lines(code):
    """The numbers of the lines that lie in a `finally:` of this code object."""
    known = _lines.get(code)
    if known is None:
        known = _lines[code] = frozenset(_find(list(dis.get_instructions(code))))
    return known


def _find(instructions):
    at, line = {}, None
    lines = []
    for i, instruction in enumerate(instructions):
        at[instruction.offset] = i
        position = instruction.positions
        lines.append(position.lineno if position else None)
    for i, instruction in enumerate(instructions):
        if instruction.opname == "PUSH_EXC_INFO" and _is_finally(instructions, i):
            for j in range(i + 1, _end(instructions, i)):
                if lines[j] is not None and lines[j] != lines[i]:
                    yield lines[j]
                elif lines[j] is not None and j > i + 1:
                    yield lines[j]


def _is_finally(instructions, i):
    """An `except` matches or drops the exception, a `with` calls __exit__; a `finally` goes straight on."""
    following = instructions[i + 1].opname if i + 1 < len(instructions) else ""
    if following in ("WITH_EXCEPT_START", "POP_TOP"):
        return False
    for instruction in instructions[i + 1 : _end(instructions, i)]:
        if instruction.opname in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH", "WITH_EXCEPT_START"):
            return False
        if instruction.opname in ("CALL", "PRECALL", "STORE_FAST", "STORE_NAME", "STORE_GLOBAL"):
            break
    return True


def _end(instructions, i):
    """Behind the RERAISE that ends the handler; handlers inside of it have theirs."""
    depth = 0
    for j in range(i, len(instructions)):
        if instructions[j].opname == "PUSH_EXC_INFO":
            depth += 1
        elif instructions[j].opname == "RERAISE":
            depth -= 1
            if depth <= 0:
                return j + 1
    return len(instructions)


# The package's own files: what they keep in order is nobody else's to interrupt.
_FILES = "_branch", "_child", "_errors", "_futures", "_place", "_stdlib", "_threads"
_OWN = frozenset(__file__.replace("_place", name) for name in _FILES)
_ITEMS = __file__.replace("_place", "_futures")
