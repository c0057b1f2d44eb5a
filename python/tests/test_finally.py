# SPDX-License-Identifier: MIT
"""The lines of a `finally` are found (rule 43)."""
import ast
import os
import types
import unittest

from bough import _async_safe


class FinallyIsFound(unittest.TestCase):
    """The lines of each `finally`, by the bytecode and by the source."""

    limit = 300  # it only computes: 7 s of processor time and more, for which a busy machine takes a minute

    def code_objects(self, code):
        yield code
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from self.code_objects(constant)

    def by_source(self, tree):
        lines = set()
        for node in ast.walk(tree):
            if isinstance(node, (ast.Try, ast.TryStar)):
                for statement in node.finalbody:
                    lines.update(range(statement.lineno, statement.end_lineno + 1))
        return lines

    def test_standard_library(self):
        """in the standard library there is no difference"""
        folder = os.path.dirname(os.__file__)
        found = 0
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".py"):
                continue
            source = open(os.path.join(folder, name), encoding="utf-8", errors="replace").read()
            wanted = self.by_source(ast.parse(source))
            for code in self.code_objects(compile(source, name, "exec")):
                lines = {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
                if lines and lines <= wanted:
                    continue  # a function that is made in a finally
                have = _async_safe.finally_lines(code)
                self.assertEqual(have & lines, wanted & lines, f"{name}: {code.co_name}")
                found += len(have)
        self.assertGreater(found, 200)


if __name__ == "__main__":
    unittest.main()
