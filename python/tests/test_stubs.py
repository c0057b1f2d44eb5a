# SPDX-License-Identifier: MIT
"""The stubs say what the package has."""
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


# What stubtest can't know: regular expressions. How C takes the arguments of a Child is not told.
NO_DIFFERENCE = r"""
bough\.Child\.__init__
bough\._\w+(\..*)?
bough\.(UNWIND|PROMOTE|DISMISS)
"""


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
    reveal_type(child.result)
    child.raise_exc(KeyError("key"))
try:
    bough.check_interrupt()
except bough.ThreadExit as stop:
    reveal_type(stop.record)
    stop.clear()
"""
TYPES = [
    "bough.Branch",
    "bough.Child[str]",
    "str | None",
]


def lack():
    """Is an extension module of mypy's missing? Its parser is asked for only when there is something to parse."""
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
        """stubtest finds no difference between bough/__init__.pyi and the module that is built"""
        with tempfile.TemporaryDirectory() as folder:
            config, allowed = Path(folder, "mypy.ini"), Path(folder, "allowed")
            config.write_text("[mypy]\n[mypy-bough.*]\nignore_errors = True\n")  # the private files have no annotations
            allowed.write_text(NO_DIFFERENCE)
            options = "--mypy-config-file", config, "--allowlist", allowed, "--ignore-unused-allowlist"
            run = self.mypy("mypy.stubtest", "bough", *options)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_types(self):
        """a child has the type of its function's result; a mistake is found"""
        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder, "sample.py")
            sample.write_text(SAMPLE)
            run = self.mypy("mypy", "--strict", "--python-version", "3.11", str(sample))
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            revealed = re.findall(r'Revealed type is "(.*)"', run.stdout)
            # As newer versions of mypy write it.
            revealed = [re.sub(r"Union\[(\S+), None\]", r"\1 | None", t).replace("builtins.", "") for t in revealed]
            self.assertEqual(revealed[:3], TYPES)
            self.assertIn("bough.Record", revealed[3])
            sample.write_text("import bough\nbough.branch(limit='ten')\nbough.Child.raise_exc(3)\n")
            self.assertNotEqual(self.mypy("mypy", "--strict", str(sample)).returncode, 0)

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
        run = self.mypy("mypy", "--strict", str(BUILD / "bough/__init__.pyi"))
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
