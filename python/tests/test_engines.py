# SPDX-License-Identifier: MIT
"""What the modules for Dask, Celery and joblib do where the engine is missing, or is another version."""
import subprocess
import sys
import unittest
import warnings

from bough import _engine
from installed import lack_of

MODULES = {"dask": "distributed", "celery": "celery", "joblib": "joblib"}


class Engines(unittest.TestCase):
    def test_missing(self):
        """an ImportError names the module, the engine and what to install"""
        for module, engine in MODULES.items():
            program = f"import sys; sys.modules[{engine!r}] = None\ntry: import bough.{module}\nexcept ImportError as e: print(e.name, e)"
            run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
            self.assertRegex(run.stdout, rf"^{engine} bough\.{module} needs {engine}, .*\. Install python3-{engine} of Debian, or {engine} ")

    def test_broken(self):
        """an engine that lacks a module is not the one to install"""
        with self.assertRaises(ImportError) as raised:
            _engine.imported("email.no_such_module", "bough.some", "python3-some")
        message = "bough.some needs email, which can't be imported. No module named 'email.no_such_module'"
        self.assertEqual((str(raised.exception), raised.exception.name), (message, "email.no_such_module"))

    def test_version(self):
        """a version that was not tried is warned of"""
        with self.assertWarnsRegex(RuntimeWarning, r"bough\.some was tried with Some 1\.2\.x and 1\.3\.x, and this is 1\.20\.0"):
            _engine.warn_unless_tried("bough.some", "Some", "1.20.0", ("1.2.", "1.3."))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _engine.warn_unless_tried("bough.some", "Some", "1.3.7", ("1.2.", "1.3."))

    @unittest.skipIf(lack_of("joblib"), lack_of("joblib"))
    def test_version_of_an_engine(self):
        """by the line that imports the module"""
        program = "import joblib\njoblib.__version__ = '9.0'\nimport bough.joblib"
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertRegex(run.stderr, r"^<string>:3: RuntimeWarning: bough\.joblib was tried with joblib .*x, and this is 9\.0\. ")


if __name__ == "__main__":
    unittest.main()
