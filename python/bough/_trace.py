# SPDX-License-Identifier: MIT
"""trace(): a recording of this process."""
from bough import _bough, _check
from bough._own import without_frames

_DEFAULT_SIZE = 64 << 20
_LEAST_SIZE = 256 << 10
_MOST_SIZE = 64 << 30


@without_frames
class Recording:
    """A recording that trace() has started. It ends with its block, by stop(), or with the process."""

    __module__ = "bough"
    __slots__ = ("_is_on",)

    def __init__(self):
        self._is_on = True

    def stop(self):
        """End the recording. Returns whether it was still on."""
        was_on, self._is_on = self._is_on, False
        return was_on and _bough.trace_stop()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


@without_frames
def trace(file, *, size=_DEFAULT_SIZE, threshold=0.001, arguments=True):
    """Record in `file` what the threads of this process, and of processes forked from it, do. The file survives a crash and a kill;
    `bough trace` and `bough picture` show it. Returns a Recording, which can be used as a block.

    The file is never larger than `size` bytes: at that size the oldest events are overwritten. Calls and regions that take less
    than `threshold` seconds are left out. With arguments=False, so are the arguments of calls, the reasons of interrupts, and the
    messages and places of failures. Raises OSError if the file can't be used, or if a recording is on already (EBUSY)."""
    size = _check.whole("trace() size", size, _LEAST_SIZE, below=_MOST_SIZE + 1)
    threshold = _check.seconds("trace() threshold", threshold, below=1e6)
    _bough.trace_start(file, size, int(threshold * 1e9), not _check.flag("trace() arguments", arguments))
    return Recording()
