# SPDX-License-Identifier: MIT
"""docs/blocking.md has a row for each call, measured by table.py, with a reason for each call without figures."""
import re
import unittest
from pathlib import Path

import enumeration
import table
import test_limits
from process import run

TEXT = table.DOCUMENT.read_text()
ROWS = enumeration.read()
LIMITS = enumeration.limits(ROWS)
FIGURES = re.compile(r"\d+, \d+, \d+")
TESTS = Path(__file__).resolve().parent


class Document(unittest.TestCase):
    def test_rows(self):
        """the table has the rows of calls.txt, in their order"""
        head, _, *lines = table.part(TEXT, "table")
        self.assertEqual(list(table.cells_of(lines)), list(ROWS))
        self.assertEqual([table.short(name) for name in head.strip("| ").split(" | ")[4:]], list(enumeration.VERSIONS))

    def test_cells(self):
        """each interpreter that has the call has interrupted it, or limits.txt gives the reason"""
        _, _, *lines = table.part(TEXT, "table")
        for key, (_, state, *cells) in table.cells_of(lines).items():
            for version, cell in zip(enumeration.VERSIONS, cells, strict=True):
                with self.subTest(key=key, version=version):
                    limited = key in LIMITS and version in LIMITS[key].versions
                    if version not in ROWS[key].versions or limited:
                        self.assertEqual(cell, "limit" if limited else "not there")
                    else:
                        self.assertRegex(cell, FIGURES)
                        self.assertTrue(state)

    def test_what_follows(self):
        """table.py would make the same summary, list of limits and reasons from the table and the lists"""
        _, _, *lines = table.part(TEXT, "summary")
        counts = [int(line.split(" | ")[4]) for line in lines]
        self.assertEqual(TEXT, table.follow(TEXT, counts), "run table.py write, or make blocking")

    def test_by_hand(self):
        """the measured parts were not edited"""
        self.assertEqual(table.part(TEXT, "digest"), [f"<!-- {table.digest(TEXT)} -->"])


class Lists(unittest.TestCase):
    limit = 300  # an interpreter for each file of tests, one after the other

    def test_limits(self):
        """each has a reason, and a line of CPython's source, which this interpreter's library has if it is of that version"""
        for key, limit in LIMITS.items():
            with self.subTest(key=key):
                self.assertTrue(limit.why)
                self.assertRegex(limit.source, r"\A(Lib|Modules|Python|Objects)/[\w/]+\.(c|py):\d+\Z")
                self.assertLessEqual(set(limit.versions), set(ROWS[key].versions))

    def test_cases(self):
        """each call that this interpreter has is a case of one test, or a limit that test_limits.py shows"""
        found = []
        for name in table.modules():
            code = f"import {name} as m\nfor make in m.cases: print(*make.row.key, sep=' | ')"
            process = run("-c", code, path=[TESTS])
            self.assertEqual(process.status, 0, process)
            found += [tuple(line.split(" | ")) for line in process.out.splitlines()]
        self.assertEqual(len(found), len(set(found)))
        missing = {key for key, row in ROWS.items() if row.is_here()} - set(found)
        self.assertEqual(missing, {key for key in test_limits.SHOWN if LIMITS[key].is_here()})


if __name__ == "__main__":
    unittest.main()
