# SPDX-License-Identifier: MIT
"""Which C file of the extension needs which, by the symbols of its objects: those below all others stay there."""
import subprocess
import sys
import unittest
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from shutil import which

from bough import _bough

OBJECTS = sorted(Path(_bough.__file__ + ".p").glob("*src_*.o")) + sorted(Path(_bough.__file__ + ".p").glob(".*src_*.o"))

# These depend on each other still. Take a file out when it no longer does; add none.
CIRCLE = set(
    "async_exc callback carrier cause delivery exceptions interpose ladder lock_methods locks monitor open_branches regions site sqlite "
    "stand_in stranger thread trace watch".split()
)
if sys.version_info >= (3, 12):
    CIRCLE.add("instructions")  # sys.monitoring calls it back


def needs():
    """file -> the files whose functions or variables it uses."""
    owner, used = {}, {}
    listed = subprocess.run(["nm", "-A", *map(str, OBJECTS)], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        path, rest = line.split(":", 1)
        file = path.rpartition("src_")[2].removesuffix(".c.o")
        kind, name = rest.split()[-2:]
        if kind in "Uwv":
            used.setdefault(file, set()).add(name)
        elif kind.isupper():
            owner[name] = file
    return {file: {owner[name] for name in names if name in owner} - {file} for file, names in used.items()}


@unittest.skipUnless(OBJECTS and which("nm"), "there are no objects beside the extension, or no nm")
class Symbols(unittest.TestCase):
    def test_no_other_cycle(self):
        """no file depends on one that depends on it, but for those of the circle"""
        graph = {file: others - CIRCLE if file in CIRCLE else others for file, others in needs().items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            self.fail(" needs ".join(reversed(error.args[1])))

    @unittest.skipUnless(sys.version_info[:2] == (3, 11), "3.11 has trace.c, other versions need less of each other")
    def test_circle(self):
        """all of the circle reach each other"""
        graph = needs()
        for file in CIRCLE:
            reached, ahead = set(), [file]
            while ahead:
                new = graph.get(ahead.pop(), set()) - reached
                reached |= new
                ahead.extend(new)
            self.assertLessEqual(CIRCLE, reached, f"{file} is out of the circle: take it out of CIRCLE")


if __name__ == "__main__":
    unittest.main()
