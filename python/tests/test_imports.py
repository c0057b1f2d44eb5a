# SPDX-License-Identifier: MIT
"""The imports between the files of the package: no file imports one that imports it, at its top or inside a
function."""
import ast
import pickle
import unittest
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import bough

FILES = {path.stem: path for path in Path(bough.__file__).parent.glob("*.py")}

# Imports inside functions, and files that are loaded by their name: (file, what it loads) -> why not at the top.
LAZY = {
    ("__main__", "_command_line"): "the working directory leaves the path first",
    ("_block", "_signals"): "only a failure needs it; entering a block has loaded it",
    ("_call", "_branch"): "only a call with a time limit needs it",
    ("_call", "_signals"): "only a Ctrl-C needs it",
    ("_command_line", "_program"): "run only: the command needs none of it",
    ("_executor", "_patch_stdlib"): "the first executor opts in",
    ("_executor", "_signals"): "only a failure needs it",
    ("celery", "__init__"): "only a soft time limit needs it",
    ("celery", "_patch_stdlib"): "the first pool opts in",
    ("dask", "_patch_stdlib"): "the first worker opts in",
    ("joblib", "_patch_stdlib"): "the first backend opts in",
    ("joblib", "_signals"): "only a failure needs it",
    ("ladder", "_patch_stdlib"): "the first setting opts in",
    ("_patch_stdlib", "_futures"): "when a program imports what it changes",
    ("_patch_stdlib", "_loops"): "when a program imports what it changes",
    ("_patch_stdlib", "_plain"): "opt_in(threads=True) only",
    ("_patch_stdlib", "_pools"): "opt_in(pools=True) only",
    ("_program_end", "_program_tk"): "when a program imports what it changes",
    ("_threads", "_patch_stdlib"): "the first thread opts in",
    ("_to_thread", "_patch_stdlib"): "the first call opts in",
    **{("__init__", file): "when a program uses one of its names" for file in bough._names_of},
}
# Names of files that code objects are looked up by, which are no imports.
NAMES_ONLY = {"_own"}


def imports_of(file):
    """(what the file needs, whether that is loaded with the file)."""
    tree = ast.parse(FILES[file].read_text())
    for node in ast.walk(tree):
        at_top = node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{file}: relative import in line {node.lineno}: this test reads absolute ones")
        if isinstance(node, ast.ImportFrom) and node.module == "bough":
            for alias in node.names:
                yield alias.name if alias.name in FILES or alias.name == "_bough" else "__init__", at_top
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("bough."):
            yield node.module.removeprefix("bough."), at_top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "bough":
                    yield alias.name.removeprefix("bough.") if "." in alias.name else "__init__", at_top
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and file not in NAMES_ONLY:
            # every class has the first name, every program the second
            if node.value.removeprefix("bough.") in FILES.keys() - {"__init__", "__main__"}:
                yield node.value.removeprefix("bough."), False


def all_imports():
    """(file, what it needs) -> whether that is loaded with the file."""
    found = {}
    for file in FILES:
        for needed, at_top in imports_of(file):
            if needed not in (file, "_bough"):  # the extension loads files when it needs them
                found[file, needed] = found.get((file, needed), False) or at_top
    return found


class Imports(unittest.TestCase):
    def test_no_cycle(self):
        """no file imports one that imports it"""
        graph = {file: set() for file in FILES}
        for file, needed in all_imports():
            graph[file].add(needed)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            self.fail(" imports ".join(reversed(error.args[1])))

    def test_lazy(self):
        """each import that is not at the top is declared here with its reason, and no other"""
        self.assertEqual(sorted(edge for edge, at_top in all_imports().items() if not at_top), sorted(LAZY))

    def test_exceptions_come_first(self):
        """_exceptions.py imports no other file"""
        self.assertEqual([needed for file, needed in all_imports() if file == "_exceptions"], [])

    def test_old_place(self):
        """a pickle that names ThreadExit by the file that once defined it can be loaded"""
        self.assertIs(pickle.loads(b"cbough._threads\nThreadExit\n."), bough.ThreadExit)
        self.assertEqual(f"{bough.ThreadExit.__module__}.{bough.ThreadExit.__qualname__}", "bough.ThreadExit")


if __name__ == "__main__":
    unittest.main()
