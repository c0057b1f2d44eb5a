# SPDX-License-Identifier: MIT
"""The stubs say what the package has."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import bough

BUILD = Path(bough.__file__).resolve().parents[1]


class Stubs(unittest.TestCase):
    limit = 300

    def mypy(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "PYTHONPATH": str(BUILD), "MYPYPATH": str(BUILD), "MYPY_CACHE_DIR": folder}
            command = [sys.executable, "-m", *arguments]
            return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    def test_stubtest(self):
        """stubtest finds no difference between bough/__init__.pyi and the module that is built"""
        run = self.mypy("mypy.stubtest", "bough")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_stubs_are_complete(self):
        """the stubs pass mypy --strict"""
        run = self.mypy("mypy", "--strict", str(BUILD / "bough/__init__.pyi"))
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
