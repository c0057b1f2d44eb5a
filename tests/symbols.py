# SPDX-License-Identifier: MIT
"""symbols.py ROOT OBJECTS COMMAND [NM]: checks which files of src/ and cli/ need each other, by the objects' symbols.

Includes do not show a function that is only declared (tests/layers.py reads those). OBJECTS and COMMAND are the folders in which
meson has put the objects of the library and of the command: thread/call.c is thread_call.c.o there. In src/ a call upward is
allowed if UPCALLS declares the function."""
import collections
import re
import subprocess
import sys
from pathlib import Path

import checks
from layers import LAYERS, ORDER

root, objects, command = map(Path, sys.argv[1:4])
nm = sys.argv[4] if len(sys.argv) > 4 else "nm"
UPCALLS = "upcalls.h"
# Files of cli/ that are built if a library is missing -> the files that they replace.
IN_PLACE_OF = {"top/none.c": {"top"}, "resolver_none.c": {"resolver.c", "confine.c"}}


def folder(path):
    return path.split("/")[0]


def symbols(top, objects):
    """The symbols that each object defines and needs: file of the folder `top` -> (set, set)."""
    sources = {str(p.relative_to(top)).replace("/", "_"): p for p in top.rglob("*.[cS]")}
    built = {str(p): sources[p.name.removesuffix(".o")] for p in objects.glob("*.o") if p.name.removesuffix(".o") in sources}
    found = {str(p.relative_to(top)): (set(), set()) for p in built.values()}
    for line in subprocess.run([nm, "-A", *built], capture_output=True, text=True, check=True).stdout.splitlines():
        path, rest = line.split(":", 1)
        kind, name = rest.split()[-2:]
        defined, needed = found[str(built[path].relative_to(top))]
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


SYMBOLS, COMMAND = symbols(root / "src", objects), symbols(root / "cli", command)


def uses(by):
    """Each use of another file's symbol: (file, file, name)."""
    owner = {name: path for path, (defined, _) in by.items() for name in defined}
    for path, (_, needed) in by.items():
        for name in needed:
            if owner.get(name, path) != path:
                yield path, owner[name], name


def edges():
    """Two values: (file, file) -> names, without the upcalls, and the upcalls: name -> [(file, file)]."""
    upcalls = declared()
    graph, upward = collections.defaultdict(set), collections.defaultdict(list)
    for path, other, name in uses(SYMBOLS):
        if name in upcalls and ORDER.index(folder(other)) >= ORDER.index(folder(path)):
            upward[name].append((path, other))
        else:
            graph[path, other].add(name)
    return graph, upward


def edges_of_command():
    """(file, file) -> names, for the command."""
    graph = collections.defaultdict(set)
    for path, other, name in uses(COMMAND):
        graph[path, other].add(name)
    return graph


def cycles(pairs):
    """The sets of two or more nodes that reach each other (Tarjan)."""
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


def between_folders(graph):
    """The same graph, with each folder in place of its files."""
    folders = collections.defaultdict(set)
    for (one, other), names in graph.items():
        if folder(one) != folder(other):
            folders[folder(one), folder(other)] |= names
    return folders


graph, upward = edges()
command_graph = edges_of_command()


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


def in_cycles(graph):
    for cycle in cycles(graph):
        yield from describe(cycle, graph)


def check_files():
    """no files depend on each other in a cycle"""
    yield from in_cycles(graph)


def check_folders():
    """no folders depend on each other in a cycle"""
    yield from in_cycles(between_folders(graph))


def replaced():
    """The files and folders of cli/ that this build replaces by others."""
    for one, others in IN_PLACE_OF.items():
        yield from others if one in COMMAND else {one}


def check_command_complete():
    """each file of the command has an object, except files that the build replaces by others"""
    without = set(replaced())
    for path in sorted((root / "cli").rglob("*.c")):
        name = str(path.relative_to(root / "cli"))
        if name not in COMMAND and not {name, folder(name)} & without:
            yield f"cli/{name} has no object in {command}"


def check_command():
    """no files of the command depend on each other in a cycle"""
    yield from in_cycles(command_graph)


def check_command_folders():
    """no folder of the command depends on a folder or another file of cli/ that depends on it"""
    yield from in_cycles(between_folders(command_graph))


if __name__ == "__main__":
    checks.run(
        [
            check_complete,
            check_upward,
            check_upcalls,
            check_files,
            check_folders,
            check_command_complete,
            check_command,
            check_command_folders,
        ]
    )
