# SPDX-License-Identifier: MIT
"""Runs of pytest with the plugin, each in a separate process."""
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import bough

BUILD = Path(bough.__file__).resolve().parents[1]
DEBIAN = "/usr/lib/python3/dist-packages"
SCALE = float(os.environ.get("T_SCALE", 1))
SHORT, ENOUGH = 0.1 * SCALE, 200 * SCALE  # limits: one that is exceeded, one that is not
GRACE = 0.5 * SCALE
FACTORS = 1, 4, 16  # of SHORT and GRACE, tried in turn: a busy machine may need a longer limit
MODULES = "pytest", "xdist", "pytest_timeout", "pytest_asyncio"
BEGIN = "import ctypes, datetime, os, queue, re, socket, subprocess, sys, threading, time, unittest\nimport bough, pytest\n"
BEGIN += "SHORT, ENOUGH = map(float, os.environ['LIMITS'].split())\n"
ALWAYS = "-p", "no:cacheprovider", "--assert=plain", "--strict-markers", "--junitxml=out.xml", "-rA"


def environment(*places):
    path = os.pathsep.join(map(str, (BUILD, *places)))
    cleared = {name: value for name, value in os.environ.items() if not name.startswith(("BOUGH_", "PYTEST_"))}
    return {**cleared, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}


@cache
def there(*places):
    """The modules that can be imported with these folders."""
    program = f"for name in {MODULES!r}:\n try: print(__import__(name).__name__)\n except Exception: pass"
    run = subprocess.run([sys.executable, "-c", program], env=environment(*places), capture_output=True, text=True)
    return run.stdout.split()


@cache
def where():
    """The folders to import pytest from. Debian's folder will do, as pytest and its plugins are plain Python code."""
    return () if "pytest" in there() else (DEBIAN,)


def has(*modules):
    return set(modules) <= set(there(*where()))


def needs(*modules):
    return unittest.skipUnless(has(*modules), f"no package {', '.join(modules)} for this interpreter")


class Run:
    """A run of pytest on one file; `options` as on the command line. `cases` has the tests by their names, as in the JUnit file."""

    def __init__(self, text, *options, ini="", plugins=(), env=None, stdin=subprocess.DEVNULL, factor=1):
        self.folder = tempfile.TemporaryDirectory(prefix="bough-pytest-")
        self.path = Path(self.folder.name)
        (self.path / "test_it.py").write_text(BEGIN + textwrap.dedent(text))
        (self.path / "pytest.ini").write_text("[pytest]\n" + textwrap.dedent(ini))
        named = [argument for plugin in ("pytest_bough", *plugins) for argument in ("-p", plugin)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *named, *ALWAYS, *options],
            cwd=self.path,
            env={**environment(*where()), "LIMITS": f"{SHORT * factor:g} {ENOUGH:g}", **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, stdin=None):
        with self.folder, self.process:
            try:
                self.out, self.err = self.process.communicate(stdin, timeout=100 * SCALE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.out, self.err = self.process.communicate()
                self.err += "(it had to be killed)"
            self.status = self.process.returncode
            xml = self.path / "out.xml"
            self.cases = {case.get("name"): case for case in ET.parse(xml).iter("testcase")} if xml.exists() else {}
        return self

    def outcome(self, test):
        """(outcome, message, text of the failure)"""
        for kind in self.cases[test]:
            if kind.tag in ("failure", "error", "skipped"):
                return kind.tag, kind.get("message"), kind.text
        return "passed", "", ""

    def last_line(self, test):
        """The last line of the traceback, as pytest shows it."""
        return (re.findall(r"^>(.*)", self.outcome(test)[2], re.M) or [""])[-1].strip()

    def __str__(self):
        return f"status {self.status}\n{self.out}\n{self.err}"


# ---- tests that need a further plugin ----------------------------------------------------------------------------------

ASYNCIO = """
    import asyncio

    done = []

    async def waits():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("waits")

    @short
    @pytest.mark.asyncio
    async def test_waits():
        await waits()

    @short
    @pytest.mark.asyncio
    async def test_computes():
        while True:
            pass

    @short
    def test_run():
        asyncio.run(waits())

    @short
    class TestAsync(unittest.IsolatedAsyncioTestCase):
        async def test_isolated(self):
            await waits()

        async def asyncTearDown(self):
            done.append("tearDown")

    @short
    def test_others():
        async def main():
            task = asyncio.create_task(waits(), name="another")
            await asyncio.Event().wait()
        asyncio.run(main())

    def test_all():
        assert done == ["waits", "waits", "waits", "tearDown", "waits"]
    """

TIMEOUT = """
    @pytest.mark.timeout(SHORT)
    def test_of_the_other():
        time.sleep(1000)

    def test_after_the_other():
        pass
    """
