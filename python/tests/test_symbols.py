# SPDX-License-Identifier: MIT
"""The dependencies of the extension's C files, by the symbols of their objects: no cycles, and upcalls.h declares calls
upward.

meson.build lists the folders from the lowest layer up."""
import re
import subprocess
import unittest
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from shutil import which

from bough import _bough

SOURCES = Path(__file__).resolve().parents[1] / "src"
FILES = {"src_" + str(path.relative_to(SOURCES)).replace("/", "_") + ".o": path for path in SOURCES.glob("*/*.c")}
BUILT = Path(_bough.__file__ + ".p")
OBJECTS = {p: FILES[p.name.lstrip("._")] for p in BUILT.glob("*.o") if p.name.lstrip("._") in FILES}
ORDER = list(dict.fromkeys(re.findall(r"'(\w+)/\w+\.c'", (SOURCES / "meson.build").read_text())))


def symbols():
    """symbol -> the file that defines it; file -> the symbols that it needs."""
    owner, needed = {}, {}
    listed = subprocess.run(["nm", "-A", *map(str, OBJECTS)], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        path, rest = line.split(":", 1)
        file = str(OBJECTS[Path(path)].relative_to(SOURCES))
        kind, name = rest.split()[-2:]
        if kind in "Uwv":
            needed.setdefault(file, set()).add(name)
        elif kind.isupper():
            owner[name] = file
    return owner, needed


def declared():
    """The functions that upcalls.h declares -> the comment above each."""
    upcalls, reason = {}, ""
    for part in re.findall(r"/\*.*?\*/|^\w[^;{}#]*\([^;{}]*;", (SOURCES / "upcalls.h").read_text(), re.S | re.M):
        if part.startswith("/*"):
            reason = part
        else:
            upcalls[re.search(r"(\w+)\(", part).group(1)] = reason
    return upcalls


def height(file):
    return ORDER.index(file.split("/")[0])


def cycle(edges):
    """A list of files that depend on each other in a cycle, or None."""
    graph = {}
    for file, other in edges:
        graph.setdefault(file, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return None


@unittest.skipUnless(BUILT.is_dir() and which("nm"), "there are no objects beside the extension, or no nm")
class Symbols(unittest.TestCase):
    def setUp(self):
        self.owner, needed = symbols()
        self.upcalls = declared()
        self.edges, self.upward = {}, {}
        for file, names in needed.items():
            for name in names & set(self.owner):
                edge = file, self.owner[name]
                if name in self.upcalls:
                    self.upward.setdefault(name, set()).add(edge)
                elif edge[0] != edge[1]:
                    self.edges[edge] = name

    def test_complete(self):
        """each file has an object"""
        self.assertEqual(set(OBJECTS.values()), set(FILES.values()))

    def test_no_cycle(self):
        """no file depends on one that depends on it"""
        found = cycle(self.edges)
        if found:
            steps = [f"{a} needs {self.edges[a, b]} of {b}" for a, b in zip(found, found[1:])]
            self.fail(f"declare an upcall in upcalls.h, or move a function: {', '.join(steps)}")

    def test_order(self):
        """a file needs symbols of its own folder or a lower one, or declared upcalls"""
        for (file, other), name in sorted(self.edges.items()):
            with self.subTest(f"{file} -> {other}"):
                self.assertGreaterEqual(height(file), height(other), f"{name} is no upcall of upcalls.h")

    def test_upcalls(self):
        """each declared upcall goes up, or would close a cycle in its folder; and it has its reason"""
        for name, reason in self.upcalls.items():
            with self.subTest(name):
                self.assertGreater(len(reason), 40, "has no comment that says why")
                edges = self.upward.get(name, ())
                if name not in self.owner:
                    continue  # this version of Python has no use for it
                self.assertTrue(any(height(a) < height(b) for a, b in edges) or cycle([*self.edges, *edges]), "it goes down")

    def test_defined(self):
        """each declared upcall is in the source of a file"""
        text = "\n".join(path.read_text() for path in FILES.values())
        for name in self.upcalls:
            with self.subTest(name):
                self.assertRegex(text, rf"(?m)^\w[\w *]*\b{name}\([^;]*\)\n{{")


if __name__ == "__main__":
    unittest.main()
