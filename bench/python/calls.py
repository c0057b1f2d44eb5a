# SPDX-License-Identifier: MIT
"""System calls that do not wait: one byte each, so that interposition has the largest possible share."""
import os
from itertools import repeat

from measure import rows_by_state


def pipe_write_read(count):
    source, sink = pipe
    read, write = os.read, os.write
    for _ in repeat(None, count):
        write(sink, b"x")
        read(source, 1)


def null_write(count):
    fd, write = null, os.write
    for _ in repeat(None, count):
        write(fd, b"x")


def zero_read(count):
    fd, read = zero, os.read
    for _ in repeat(None, count):
        read(fd, 1)


pipe = os.pipe()
null = os.open("/dev/null", os.O_WRONLY)
zero = os.open("/dev/zero", os.O_RDONLY)


def rows(quick):
    operations = {
        "os.write and os.read of a pipe": pipe_write_read,
        "os.write to /dev/null": null_write,
        "os.read of /dev/zero": zero_read,
    }
    targets = {name: (1.05, 1.01) for name in operations}
    yield from rows_by_state(operations, 2000, 40 if quick else 300, targets)
