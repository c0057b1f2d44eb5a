# SPDX-License-Identifier: MIT
"""symbols.py ROOT OBJECTS [NM]: which file of src/ needs which, by the symbols of the library's objects.

Includes do not show a function that is only declared (tests/layers.py reads those). OBJECTS is the folder in which meson has put
the library's objects: thread/call.c is core_call.c.o there. A call upward is allowed if UPCALLS declares the function."""
import collections
import re
import subprocess
import sys
from pathlib import Path

import checks
from layers import LAYERS, ORDER

root, objects = Path(sys.argv[1]), Path(sys.argv[2])
nm = sys.argv[3] if len(sys.argv) > 3 else "nm"
UPCALLS = "upcalls.h"


def folder(path):
    return path.split("/")[0]


def symbols():
    """The symbols that each object defines and needs: (file of src/) -> (set, set)."""
    sources = {str(p.relative_to(root / "src")).replace("/", "_"): p for p in (root / "src").rglob("*.[cS]")}
    built = {str(p): sources[p.name.removesuffix(".o")] for p in objects.glob("*.o") if p.name.removesuffix(".o") in sources}
    found = {str(p.relative_to(root / "src")): (set(), set()) for p in built.values()}
    for line in subprocess.run([nm, "-A", *built], capture_output=True, text=True, check=True).stdout.splitlines():
        path, rest = line.split(":", 1)
        kind, name = rest.split()[-2:]
        defined, needed = found[str(built[path].relative_to(root / "src"))]
        if kind in "UwvN":
            needed.add(name)
        elif kind.isupper():
            defined.add(name)
    return found


def declared():
    """The functions that UPCALLS declares -> the comment above it."""
    text = (root / "src" / UPCALLS).read_text()
    upcalls, reason = {}, ""
    for part in re.findall(r"/\*.*?\*/|^\w[^;{}#]*\([^;{}]*;", text, re.S | re.M):
        if part.startswith("/*"):
            reason = part
        else:
            upcalls[re.search(r"(\w+)\(", part).group(1)] = reason
    return upcalls


SYMBOLS = symbols()


def edges():
    """(file, file) -> names; without the upcalls, which are returned apart: name -> [(file, file)]."""
    by, upcalls = SYMBOLS, declared()
    owner = {name: path for path, (defined, _) in by.items() for name in defined}
    graph, upward = collections.defaultdict(set), collections.defaultdict(list)
    for path, (_, needed) in by.items():
        for name in needed:
            other = owner.get(name)
            if not other or other == path:
                continue
            if name in upcalls and ORDER.index(folder(other)) >= ORDER.index(folder(path)):
                upward[name].append((path, other))
            else:
                graph[path, other].add(name)
    return graph, upward


def cycles(pairs):
    """The sets of nodes that reach each other, of more than one (Tarjan)."""
    after = collections.defaultdict(set)
    for one, other in pairs:
        after[one].add(other)
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(after[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(set(stack[at:]))
            del stack[at:]

    for node in sorted(after):
        if node not in index:
            visit(node)
    return found


def describe(cycle, graph):
    """A cycle, with the symbols that its members need of each other."""
    yield f"{len(cycle)} depend on each other: {' '.join(sorted(cycle))}"
    for (one, other), names in sorted(graph.items()):
        if one in cycle and other in cycle:
            yield f"    {one} -> {other}: {', '.join(sorted(names)[:6])}"


graph, upward = edges()


def check_complete():
    """each file of the library has an object, except files for other machines"""
    for path in sorted((root / "src").glob("*/*.c")):
        name = str(path.relative_to(root / "src"))
        if name not in SYMBOLS and folder(name) != "preload":
            yield f"src/{name} has no object in {objects}"


def check_upward():
    """a file needs symbols of its own layer or a lower one, or declared upcalls"""
    for (one, other), names in sorted(graph.items()):
        if folder(other) not in LAYERS[folder(one)]:
            yield f"{one} calls {', '.join(sorted(names))} of {other}, which {UPCALLS} does not declare"


def check_upcalls():
    """each declared upcall goes up, and has its reason"""
    for name, reason in declared().items():
        if name not in upward:
            yield f"{UPCALLS}: {name} is called by no file below the one that defines it"
        if len(reason) < 20:
            yield f"{UPCALLS}: {name} has no comment that says why"


def check_files():
    """no files depend on each other in a cycle"""
    for cycle in cycles(graph):
        yield from describe(cycle, graph)


def check_folders():
    """no folders depend on each other in a cycle"""
    folders = collections.defaultdict(set)
    for (one, other), names in graph.items():
        if folder(one) != folder(other):
            folders[folder(one), folder(other)] |= names
    for cycle in cycles(folders):
        yield from describe(cycle, folders)


if __name__ == "__main__":
    checks.run([check_complete, check_upward, check_upcalls, check_files, check_folders])
