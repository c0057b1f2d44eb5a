# SPDX-License-Identifier: MIT
"""The Python code of docs/python.md, as one module. A block that imports a client that is not installed is skipped."""
import re
import types
from pathlib import Path

from installed import lack_of

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/python.md").read_text()
CLIENTS = {"MySQLdb", "requests"}


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)


def load():
    guide = types.ModuleType("guide")
    for block in blocks(TEXT):
        lines_before = TEXT[: TEXT.index(block)].count("\n")
        try:
            exec(compile("\n" * lines_before + block, ROOT / "docs/python.md", "exec"), vars(guide))
        except ImportError:  # not installed, or built for another interpreter
            if not any(lack_of(client) for client in CLIENTS if f"import {client}\n" in block):
                raise
    return guide
