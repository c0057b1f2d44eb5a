# SPDX-License-Identifier: MIT
"""tree(): the tree of threads and branches as an object that a REPL shows as text and a notebook as a table.

Its source is a dump, whose names and reasons are safe for a terminal, because all but printable characters are escaped there. HTML
needs more, so each piece of text goes through escape().
"""
import os
import re
from html import escape

from bough import _bough
from bough._own import without_frames

_MOST_ROWS = 2000  # in a table: a browser has to lay out all of them
_WRITER = ", it writes this"

# Lines of the dump (src/inspect/dump.c). A name may contain anything printable, so the last match counts.
_THREAD = re.compile(r"thread(?: (?P<name>.*))? \((?P<id>-?\d+)\), (?P<level>deferred|asynchronous|masked|disabled): (?P<state>.*)")
_BRANCH = re.compile(r"branch(?: (?P<name>.*))?, (?P<state>\d+ running.*)")

_HEAD = "<tr>" + "".join(f'<th style="text-align: left">{title}</th>' for title in ("", "id", "level", "state")) + "</tr>"
_CELL = '<td style="text-align: left; vertical-align: top">{}</td>'


class Tree:
    """The threads and branches of this process at one moment, from tree(). str() and repr() are the text, a line for each thread,
    branch, request to stop and region. In a notebook it is a table."""

    __module__ = "bough"
    __slots__ = ("_lines",)

    def __init__(self, lines):
        self._lines = tuple(lines)

    def __str__(self):
        return "\n".join(self._lines)

    __repr__ = __str__

    def _repr_html_(self):
        """For IPython."""
        rows = list(_rows(self._lines))
        shown = [_as_html(*row) for row in rows[:_MOST_ROWS]]
        if len(rows) > _MOST_ROWS:
            shown.append(f'<tr><td colspan="4">and {len(rows) - _MOST_ROWS} more: print() the tree to see them</td></tr>')
        return f'<table class="bough-tree"><thead>{_HEAD}</thead><tbody>{"".join(shown)}</tbody></table>'


@without_frames
def tree():
    """The threads and branches of this process: each thread's level, regions, requests to stop and where it is, and each branch's
    place and time. The object is a copy: print() it, or show it in a notebook, which makes a table of it. dump() also has threads
    that bough does not know, and C stacks; `bough tree PID` reads another process."""
    return Tree(line.removesuffix(_WRITER) for line in lines_of_dump())


def lines_of_dump():
    """The tree's lines in a dump of the process, which is written to memory."""
    with open(os.memfd_create("bough-tree", os.MFD_CLOEXEC), "rb") as file:
        _bough.dump(file.fileno())
        file.seek(0)
        text = file.read().decode("utf-8", "replace")
    head, root, rest = text.partition("\nroot\n")
    return ["root", *rest.partition("\n\n")[0].split("\n")] if root else []


def _rows(lines):
    """Yield (depth, name, id, level, state, notes) for each thread and branch. Other lines are notes about the one above."""
    row = None
    for line in lines:
        text = line.lstrip(" ")
        depth = (len(line) - len(text)) // 2
        thread, branch = _THREAD.fullmatch(text), _BRANCH.fullmatch(text)
        if row and not thread and not branch:
            row[-1].append(text)
            continue
        if row:
            yield row
        if thread:
            row = depth, thread["name"] or "thread", thread["id"], thread["level"], thread["state"], []
        elif branch:
            row = depth, f"branch {branch['name'] or ''}", "", "", branch["state"], []
        else:
            row = depth, text, "", "", "", []
    if row:
        yield row


def _as_html(depth, name, ident, level, state, notes):
    state = "<br>".join(map(escape, (state, *notes) if state else notes))
    first = f'<span style="padding-left: {1.5 * depth:g}em">{escape(name)}</span>'
    return f"<tr>{''.join(map(_CELL.format, (first, escape(ident), escape(level), state)))}</tr>"
