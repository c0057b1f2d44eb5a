# SPDX-License-Identifier: MIT
"""A program that hangs, for tests of the command; and the nodes of the tree that the command prints as JSON."""
import os
import subprocess


class Hanging:
    """Hanging([program, ...]): it has printed "ready" when the block begins, and is killed when the block ends."""

    def __init__(self, command, environment=None, **options):
        self.command = command
        self.options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL,
                        "env": {**os.environ, **(environment or {})}, **options}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, **self.options)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = str(self.process.pid)
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.errors = (self.process.communicate()[1] or b"").decode()


def nodes(node):
    """A node of the tree, and all below it."""
    yield node
    for below in node["below"]:
        yield from nodes(below)
