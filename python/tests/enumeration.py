# SPDX-License-Identifier: MIT
"""The blocking calls of calls.txt, which the tests of blocking calls and the table in docs/blocking.md share."""
import sys
from pathlib import Path
from typing import NamedTuple

VERSIONS = ("3.11", "3.12", "3.13")


class Row(NamedTuple):
    """A call, what it waits for, the section of the file, and the versions of CPython that have the call."""

    call: str
    what: str
    family: str
    versions: tuple

    @property
    def key(self):
        return self.call, self.what

    def is_here(self):
        """Whether this interpreter has the call. An interpreter newer than all that are listed is treated as the last
        of them."""
        return VERSIONS[min(sys.version_info.minor - 11, len(VERSIONS) - 1)] in self.versions


def read():
    """All rows, by (call, what it waits for)."""
    rows, family = {}, None
    for line in (Path(__file__).parent / "calls.txt").read_text().splitlines():
        if line.startswith("["):
            family = line.strip("[]")
        elif line and not line.startswith("#"):
            call, what, *versions = line.split(" | ")
            row = Row(call, what, family, tuple(versions[0].split()) if versions else VERSIONS)
            if row.key in rows:
                raise ValueError(f"calls.txt: {row.key} stands there twice")
            rows[row.key] = row
    return rows


class Limit(NamedTuple):
    """Why a call can't be interrupted, the line of CPython's source that shows it, the versions of CPython for which it holds, and
    the patch release that ends it, or None."""

    why: str
    source: str
    versions: tuple
    before: tuple | None

    def is_here(self):
        return Row.is_here(self) and (self.before is None or sys.version_info < self.before)


def limits(rows):
    """The limits of limits.txt, by (call, what it waits for)."""
    found = {}
    for line in (Path(__file__).parent / "limits.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        call, what, why, source, *versions = line.split(" | ")
        if (call, what) not in rows or (call, what) in found:
            raise ValueError(f"limits.txt: {call} | {what} must be in calls.txt, and once here")
        versions = versions[0].split() if versions else VERSIONS
        ends = [tuple(map(int, version[1:].split("."))) for version in versions if version.startswith("<")]
        versions = tuple(version for version in versions if not version.startswith("<"))
        found[call, what] = Limit(why, source, versions, ends[0] if ends else None)
    return found


def slow():
    """slow.txt: {pattern of "call | what it waits for": why its interrupt takes longer}."""
    lines = (Path(__file__).parent / "slow.txt").read_text().splitlines()
    return dict(line.split(" ; ") for line in lines if line and not line.startswith("#"))
