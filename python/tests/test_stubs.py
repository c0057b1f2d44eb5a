# SPDX-License-Identifier: MIT
"""The stubs agree with the package."""
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import bough

BUILD = Path(bough.__file__).resolve().parents[1]


# Regular expressions for names that stubtest must not check: it can't see the C signature of a Child.
NO_DIFFERENCE = r"""
bough\.Child\.__init__
bough\._\w+(\..*)?
bough\.(UNWIND|PROMOTE|DISMISS)
"""


# The private files have no annotations. Debian's mypy has TypeVarTuple, but needs an option for it.
FEATURES = "TypeVarTuple", "Unpack"
CONFIG = f"""[mypy]
enable_incomplete_feature = {", ".join(FEATURES)}
[mypy-bough.*]
ignore_errors = True
"""
STRICT = "--strict", *(f"--enable-incomplete-feature={feature}" for feature in FEATURES)

SAMPLE = """
import socket
import bough
from bough import branch

def handle(conn: socket.socket, number: int) -> str:
    with conn, bough.critical_section(budget=2):
        return str(number)

def ends(incident: bough.Incident) -> None:
    raise SystemExit(incident.record.reason)

with branch("clients", limit=10, timeout=5) as clients, bough.handler(ends, final=True):
    child = clients.add(handle, socket.socket(), 3, closing=socket.socket(), name="client")
    reveal_type(clients)
    reveal_type(child)
    reveal_type(child.result())
    child.raise_exc(KeyError("key"))
try:
    bough.check_interrupt()
except bough.ThreadExit as stop:
    reveal_type(stop.record)
    stop.clear()

def work(number: int, *, twice: bool = False) -> float:
    return 0.5

@bough.fail_after(2)
def limited(number: int) -> str:
    return ""

@bough.move_on_after(2, asynchronous=True)
def search(number: int) -> str:
    return ""

def in_time() -> int:
    with bough.fail_after(1):
        return 1

with branch() as b, bough.move_on_after(5) as scope:
    scope.deadline += 1
    scope.cancel("enough")
    reveal_type(scope.cancelled_caught)
    reveal_type(b.add(work, 1, twice=True))
    reveal_type(b.map(work, [1, 2], limit=2))
    reveal_type([other.result() for other in bough.as_completed([b.add(work, 1)])])
    reveal_type(bough.race(in_time, in_time))
    reveal_type(child.outcome)
    reveal_type(limited(1))
    reveal_type(search(1))
    reveal_type(bough.ladder.Rung.EXIT)
"""
OUTCOMES = "running", "ok", "error", "interrupted", "not started", "lost"
TYPES = [
    "bough.Branch",
    "bough.Child[str]",
    "str",
    "bough.Record",
    "bool",
    "bough.Child[float]",
    "list[float]",
    "list[float]",
    "int",
    " | ".join(f"Literal['{outcome}']" for outcome in OUTCOMES),
    "str",
    "str | None",
    "Literal[bough.Rung.EXIT]",
]
# Each line is a mistake.
WRONG = """\
bough.branch(limit='ten')
bough.Child.raise_exc(3)
b.add(work, "1")
b.add(work)
b.add(work, 1, thrice=True)
b.map(work, ["1"])
child.outcome == "finished"
limited("1")
search(1).upper()
bough.fail_after("5")
scope.add(work, 1)
bough.race(work)
"""


def lack():
    """Whether an extension module of mypy is missing, which mypy reports only when it parses a file."""
    for module in "librt.internal", "ast_serialize":
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            if subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode:
                return True
    return False


class Stubs(unittest.TestCase):
    limit = 300

    def mypy(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "PYTHONPATH": str(BUILD), "MYPYPATH": str(BUILD), "MYPY_CACHE_DIR": folder}
            command = [sys.executable, "-m", *arguments]
            run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if re.search(r"ModuleNotFoundError: .*'(librt|ast_serialize)|INTERNAL ERROR", run.stderr + run.stdout) and lack():
            self.skipTest("mypy is here, and its extension modules are not built for this interpreter")
        return run

    def test_stubtest(self):
        """stubtest finds no difference between bough/__init__.pyi and the built module"""
        with tempfile.TemporaryDirectory() as folder:
            config, allowed = Path(folder, "mypy.ini"), Path(folder, "allowed")
            config.write_text(CONFIG)
            allowed.write_text(NO_DIFFERENCE)
            options = "--mypy-config-file", config, "--allowlist", allowed, "--ignore-unused-allowlist"
            run = self.mypy("mypy.stubtest", "bough", *options)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_types(self):
        """a child has the type of its function's result; a mistake is found"""
        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder, "sample.py")
            sample.write_text(SAMPLE)
            run = self.mypy("mypy", *STRICT, "--python-version", "3.11", str(sample))
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            revealed = re.findall(r'Revealed type is "(.*)"', run.stdout)
            # In the format of newer versions of mypy.
            revealed = [re.sub(r"Union\[(.*)\]$", lambda m: m.group(1).replace(", ", " | "), t) for t in revealed]
            revealed = [re.sub(r"tuple\[.*fallback=(.*)\]$", r"\1", t).rstrip("?").replace("builtins.", "") for t in revealed]
            revealed[3] = "bough.Record" if "bough.Record" in revealed[3] else revealed[3]
            self.assertEqual(revealed, TYPES)

    def test_mistakes(self):
        """each is found"""
        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder, "sample.py")
            sample.write_text(SAMPLE.replace("reveal_type", "print") + WRONG)
            run = self.mypy("mypy", *STRICT, str(sample))
        first = SAMPLE.count("\n") + 1
        found = {int(line) - first for line in re.findall(r"sample.py:(\d+): error", run.stdout)}
        lines = WRONG.splitlines()
        self.assertEqual([lines[i] for i in range(len(lines)) if i not in found], [], run.stdout)
        self.assertEqual([line for line in found if line < 0], [], run.stdout)

    def test_docstrings(self):
        """everything public has one"""
        for name in bough.__all__:
            thing = getattr(bough, name)
            self.assertTrue(thing.__doc__, name)
            for key, value in vars(thing).items() if isinstance(thing, type) else ():
                if callable(value) and not key.startswith("_"):
                    self.assertTrue(inspect.getdoc(getattr(thing, key)), f"{name}.{key}")

    def test_stubs_are_complete(self):
        """the stubs pass mypy --strict"""
        run = self.mypy("mypy", *STRICT, str(BUILD / "bough/__init__.pyi"))
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
