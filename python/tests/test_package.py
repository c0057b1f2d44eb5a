# SPDX-License-Identifier: MIT
"""The package as it is imported."""
import unittest

import bough


class Package(unittest.TestCase):
    def test_version(self):
        """the package and the library in it are of one version"""
        self.assertEqual(bough.__version__, bough.library_version())

    def test_docstrings(self):
        """all that is public has a docstring"""
        public = [bough, *(getattr(bough, name) for name in bough.__all__)]
        self.assertEqual([thing for thing in public if callable(thing) and not thing.__doc__], [])
