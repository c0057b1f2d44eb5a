# SPDX-License-Identifier: MIT
"""The Python code of the documents runs, and prints the output that they show. docs/python.md has separate tests: test_guide.py."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from guide import ROOT
from installed import lack_of

# Packages that a page imports for comparison: if one is not installed, its block is skipped.
OTHERS = {"stopit", "trio", "anyio", "dask", "distributed", "celery", "joblib"}
# Code that runs before a page's code.
BEFORE = {
    "index": """
import socket

pairs = [socket.socketpair() for _ in range(3)]
connections = [one for one, other in pairs]

def serve(conn):
    conn.recv(1)
""",
}
MARK = "\x01"
LIMIT = 100 * float(os.environ.get("T_SCALE", 1))


def blocks(text):
    """(line, code, what it prints or None) of each block of Python."""
    found = list(re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M))
    for fence, after in zip(found, [*found[1:], None]):
        if fence.group(1) == "python":
            printed = after.group(2) if after and after.group(1) == "text" else None
            yield text[: fence.start(2)].count("\n"), fence.group(2), printed


def pages():
    every = [*(ROOT / "docs").glob("*.md"), ROOT / "docs/site/index.md"]
    return {p.stem: p for p in sorted(every) if p.name != "python.md" and "```python\n" in p.read_text()}


def run(program, limit):
    """The status, output and errors of a program; past the limit, the errors include the stacks of all its threads."""
    place = os.path.dirname(program)
    paths = os.pathsep.join(os.path.abspath(folder) for folder in os.environ["PYTHONPATH"].split(os.pathsep))
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, program], cwd=place, env=env, **streams) as child:
        try:
            out, err = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)
            out, err = child.communicate()
            err += f"(it had not ended after {limit:g} s)"
    return child.returncode, out, err


class Pages(unittest.TestCase):
    limit = 120

    def run_page(self, page, path, limit=LIMIT):
        """All blocks in their order, in one process; each output behind a mark."""
        chosen = []
        for line, code, printed in blocks(path.read_text()):
            needed = OTHERS & set(re.findall(r"^\s*(?:import|from) (\w+)", code, flags=re.M))
            if not any(lack_of(name) for name in needed):
                chosen.append((line, code, printed))
        parts = [BEFORE.get(page, ""), fresh := "names = {**globals(), '__name__': '__main__'}"]
        for line, code, _ in chosen:
            parts += [fresh] if page.startswith("tutorial") else []  # whose blocks are complete programs
            parts.append(f"exec(compile({chr(10) * line + code!r}, {str(path)!r}, 'exec'), names)")
            parts.append(f"print({MARK!r}, end='', flush=True)")
        with tempfile.TemporaryDirectory() as place:
            program = Path(place, f"{page}.py")
            program.write_text("\n".join(parts))
            status, printed_all, err = run(program, limit)
        self.assertEqual(status, 0, f"{path.name} has printed {printed_all!r}\n{err}")
        for (line, _, printed), out in zip(chosen, printed_all.split(MARK)):
            if printed is not None:
                self.assertEqual(out, printed, f"{path.name}:{line}")

    def test_hangs(self):
        """if a page does not end, its failure shows the output and each thread's stack"""
        with tempfile.TemporaryDirectory() as place:
            page = Path(place, "hangs.md")
            page.write_text("```python\nimport threading\nprint(False)\nthreading.Event().wait()\n```\n")
            expected = re.compile(r"hangs.md has printed 'False.*hangs.md\", line 4", re.S)
            for longer in 1, 3, 9, 27:  # it may not have begun by then
                with self.assertRaises(AssertionError) as failed:
                    self.run_page("hangs", page, longer)
                if expected.search(str(failed.exception)):
                    break
            self.assertRegex(str(failed.exception), expected)


def test_of(page, path):
    def test(self):
        self.run_page(page, path)

    test.__doc__ = f"{path.relative_to(ROOT)}"
    return test


for name, file in pages().items():
    setattr(Pages, "test_" + name.replace("-", "_"), test_of(name, file))

if __name__ == "__main__":
    unittest.main()
