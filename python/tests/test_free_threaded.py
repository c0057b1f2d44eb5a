# SPDX-License-Identifier: MIT
"""A free-threaded interpreter: importing the package enables the GIL, as the extension declares."""
import sysconfig
import unittest

from process import run

IMPORTS = """
import sys
before = sys._is_gil_enabled()
import bough
print(before, sys._is_gil_enabled())
with bough.branch() as b:
    children = [b.add(sum, range(10_000)) for _ in range(20)]
print({child.result() for child in children})
with bough.branch(timeout=0.05) as b:
    b.add(__import__("time").sleep, 3600)
"""


@unittest.skipUnless(sysconfig.get_config_var("Py_GIL_DISABLED"), "this interpreter is not free-threaded")
class FreeThreaded(unittest.TestCase):
    def test_lock(self):
        """is disabled before the import and enabled after it, which the interpreter reports"""
        process = run("-c", IMPORTS, env={"PYTHON_GIL": ""})
        self.assertEqual(process.out.splitlines(), ["False True", "{49995000}"], str(process))
        self.assertIn("TimeoutError", process.err)
        self.assertIn("GIL) has been enabled to load module 'bough._bough'", process.err)

    def test_lock_enabled_before(self):
        """then nothing is reported"""
        process = run("-X", "gil=1", "-c", "import bough")
        self.assertEqual((process.status, process.err), (0, ""), str(process))

    def test_lock_kept_disabled(self):
        """the import is refused"""
        for arguments, env in ((), {"PYTHON_GIL": "0"}), (("-X", "gil=0"), {"PYTHON_GIL": ""}):
            process = run(*arguments, "-c", "import bough", env=env)
            self.assertEqual(process.status, 1, str(process))
            self.assertRegex(process.err, "ImportError: bough needs the GIL, .* start this interpreter without them")


if __name__ == "__main__":
    unittest.main()
