# SPDX-License-Identifier: MIT
"""generated.py ROOT BUILD: generated files are current, the manual pages have no warnings, versions agree."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import checks

root, build = Path(sys.argv[1]), Path(sys.argv[2])
tool = root / "tools/calls.py"


def table():
    """include/bough/calls.h is the tool's output; each row of the table is sound and has a test; POSIX's list is complete"""
    run = subprocess.run([sys.executable, tool, "check"], capture_output=True, text=True)
    if run.returncode:
        yield from (run.stdout + run.stderr).splitlines()


def diagram():
    """docs/ladder.svg is drawn from the ladder's table"""
    run = subprocess.run([sys.executable, root / "tools/ladder.py", "--check"], capture_output=True, text=True)
    if run.returncode:
        yield from (run.stdout + run.stderr).splitlines()


def manual():
    """the manual pages have no warnings"""
    if not shutil.which("mandoc"):
        return
    folder = build / "man-check"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, tool, "man", folder], check=True)
    pages = sorted(p for f in (folder, root / "man") for p in f.rglob("*.[137]"))
    for page in pages:
        run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        yield from run.stdout.splitlines()


def versions():
    """the version is the same everywhere"""
    want = re.search(r"version: '([0-9.]+)'", (root / "meson.build").read_text()).group(1)
    header = (root / "include/bough.h").read_text()
    numbers = ".".join(re.search(rf"BOUGH_VERSION_{n} (\d+)", header).group(1) for n in ("MAJOR", "MINOR", "PATCH"))
    text = re.search(r'BOUGH_VERSION "(.*)"', header).group(1)
    if not want == numbers == text:
        yield f"meson.build {want}, bough.h {numbers} and {text}"
    news = root / "NEWS.md"
    if news.exists() and want not in news.read_text():
        yield f"NEWS.md says nothing of {want}"


checks.run([table, diagram, manual, versions])
