# SPDX-License-Identifier: MIT
"""Where the threads of a branch were when they were interrupted: for the notes of the exception that the block raises.

The places are kept as text, because a traceback would keep the frames and all that their variables hold.
"""
from bough._exceptions import leaves_of
from bough._own import is_own

MOST_PLACES, MOST_FRAMES = 8, 8


class Places:
    """The places of a branch's children and its body.

    cause   the first error that a client library has raised because of the interrupt, or None
    """

    def __init__(self):
        self.forget()

    def forget(self):
        self.cause, self._notes, self._more = None, [], 0

    def add(self, error, name):
        """Add the place of `error`, the exception that ended the child or the block."""
        for stop in leaves_of(error):
            if self.cause is None:
                self.cause = stop.__cause__
            if len(self._notes) < MOST_PLACES:
                self._notes.append("\n".join(_lines(stop, name)))
            else:
                self._more += 1

    def add_note(self, note):
        """Add a note to those of the places."""
        self._notes.append(note)

    def add_to(self, error):
        """Add the notes to the exception."""
        for note in self._notes:
            error.add_note(note)
        if self._more:
            error.add_note(f"and {self._more} more")


def _lines(stop, name):
    """The frames of the thread, the innermost last, as a traceback shows them; then the notes of nested blocks."""
    trace = (stop.__cause__ if stop.__cause__ is not None else stop).__traceback__
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if not is_own(trace.tb_frame):
            frames.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
        trace = trace.tb_next
    yield f"{name} was interrupted at (most recent call last):"
    yield from frames[-MOST_FRAMES:]
    for note in getattr(stop, "__notes__", ()):
        yield from ("  " + line for line in note.splitlines())
