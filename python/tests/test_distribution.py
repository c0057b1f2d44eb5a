# SPDX-License-Identifier: MIT
"""The source distribution and the wheel can be built, contain the right files, and can be used, without a network."""
import email
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import unittest
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
BASE = f"bough-{PROJECT['version']}"
EXTENSION = "bough/_bough" + sysconfig.get_config_var("EXT_SUFFIX")
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
    "PIP_NO_INDEX": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_CONFIG_FILE": os.devnull,
}
COMMAND = "bough/_command/bough"
# The folder of the archives and wheels. Several tests use them, by name.
place = None


def setUpModule():
    global place
    place = Path(tempfile.mkdtemp())


def tearDownModule():
    shutil.rmtree(place)


def run(*command):
    done = subprocess.run([str(c) for c in command], cwd=place, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(done.args)}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def make_sdist(project, folder):
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", place / folder, project)
    return place / folder / f"{BASE}.tar.gz"


@functools.cache
def sdist():
    return make_sdist(SOURCE, "sdist")


@functools.cache
def unpacked():
    with tarfile.open(sdist()) as archive:
        archive.extractall(place / "unpacked")
    return place / "unpacked" / BASE


@functools.cache
def wheel():
    """Builds a wheel from the archive, as a user's pip does, but without optimising, which takes the most time."""
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", place / "wheel"]
    run(*pip, "--config-settings", "setup-args=-Doptimization=0", sdist())
    (found,) = (place / "wheel").glob("*.whl")
    return found


def packed(path):
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2]: member for member in archive}


class SourceDistribution(unittest.TestCase):
    limit = 120

    def test_contents(self):
        """it has the package, its tests, and the sources of the library that are built"""
        names = packed(sdist())
        for want in ("PKG-INFO", "LICENSE", "README.md", "meson.build", "bough/py.typed", "tests/run.py"):
            self.assertIn(want, names)
        library = {name.split("/")[2] for name in names if name.startswith("subprojects/bough/")}
        self.assertEqual(library, {"LICENSE", "meson.build", "meson_options.txt", "cli", "include", "src", "tools"})

    def test_files_only(self):
        """it has no links, and no products of a build"""
        members = packed(sdist())
        self.assertEqual([name for name, member in members.items() if not member.isfile()], [])
        self.assertEqual([name for name in members if name.endswith((".pyc", ".so", ".o", ".ini"))], [])

    def test_again(self):
        """the unpacked sources make the same archive: they need no repository"""
        again = packed(make_sdist(unpacked(), "again"))
        self.assertEqual(sorted(again), sorted(packed(sdist())))


    def test_readme(self):
        """its readme has no link that is broken on a package index"""
        with tarfile.open(sdist()) as archive:
            texts = [archive.extractfile(f"{BASE}/{name}").read().decode() for name in ("README.md", "PKG-INFO")]
        for text in texts:
            self.assertIn("# bough", text)
            self.assertNotIn("](../", text)

    def test_readme_with_an_address(self):
        """where the project names its public address, the links lead there"""
        sys.path.insert(0, str(SOURCE / "backend"))
        try:
            from bough_metadata import for_index
        finally:
            sys.path.pop(0)
        made = for_index("[g](../docs/python.md#x), [e](examples) and [w](https://w.org/)", "https://h.org/bough/", "1.2")
        blob = "https://h.org/bough/blob/v1.2/"
        self.assertEqual(made, f"[g]({blob}docs/python.md#x), [e]({blob}python/examples) and [w](https://w.org/)")


MISSING = """
import os, sys
sys.path.insert(0, {backend!r})
os.environ |= {{"PATH": "/nonexistent", "PIP_NO_INDEX": "1"}}
os.environ.pop("CC", None)
import bough_backend, bough_needs
if {no_headers}:
    bough_needs.sysconfig.get_path = lambda name: "/nonexistent"
bough_backend.{hook}
"""


class Missing(unittest.TestCase):
    """If a build lacks something, the message names it and what to do, without a traceback."""

    def message(self, hook, no_headers=False):
        script = MISSING.format(backend=str(SOURCE / "backend"), hook=hook, no_headers=no_headers)
        done = subprocess.run([sys.executable, "-I", "-c", script], cwd=SOURCE, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertTrue(done.stderr.startswith("bough can't be built here. Missing:\n"), done.stderr)
        return done.stderr

    def test_tools(self):
        """a compiler, meson and ninja"""
        for hook in "get_requires_for_build_wheel()", "build_wheel('/nonexistent')":
            message = self.message(hook)
            for want in ("a C compiler", "apt-get install build-essential", "meson, 1.0.1 or newer", "ninja", "pip install ninja"):
                self.assertIn(want, message)
            self.assertNotIn("Python.h", message)

    def test_headers(self):
        """the interpreter's headers"""
        self.assertIn(f"Python.h of this interpreter, {sys.executable}: it is not in /nonexistent", self.message("build_wheel('.')", True))

    def test_fetched(self):
        """what pip can fetch is fetched"""
        script = MISSING.format(backend=str(SOURCE / "backend"), hook="needs.compiler_lacks = lambda: None", no_headers=False)
        script += "del os.environ['PIP_NO_INDEX']\nprint(bough_backend.get_requires_for_build_wheel())"
        self.assertEqual(run(sys.executable, "-c", script), "['meson>=1.0.1', 'ninja']\n")


class Meson(unittest.TestCase):
    def test_hidden_packages(self):
        """a meson that can't import itself with pip's PYTHONPATH is executed without it, and one that pip has fetched with it"""
        for condition, kept in ("-z", None), ("-n", "/pip"):
            with tempfile.TemporaryDirectory() as folder:
                meson = Path(folder, "meson")
                meson.write_text(f'#!/bin/sh\n[ {condition} "$PYTHONPATH" ] && echo 1.3.0\n')
                meson.chmod(0o755)
                script = f"import sys; sys.path.insert(0, {str(SOURCE / 'backend')!r}); import bough_needs as needs\n"
                script += "print(needs.meson_lacks(), needs.environment().get('PYTHONPATH'))"
                environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": "/pip"}
                done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
                self.assertEqual((done.stdout, done.stderr), (f"None {kept}\n", ""))


class Wheel(unittest.TestCase):
    limit = 300

    def test_contents(self):
        """it has the modules, the stubs, the extension, the command and the licence, and nothing else"""
        modules = {f"bough/{p.name}" for p in (SOURCE / "bough").iterdir() if p.suffix in (".py", ".pyi", ".typed")}
        info = {f"{BASE}.dist-info/{name}" for name in ("METADATA", "WHEEL", "LICENSE", "RECORD", "entry_points.txt")}
        self.assertEqual(set(zipfile.ZipFile(wheel()).namelist()), modules | info | {EXTENSION, COMMAND, "pytest_bough.py"})

    def test_plugin(self):
        """pytest finds its plugin"""
        text = zipfile.ZipFile(wheel()).read(f"{BASE}.dist-info/entry_points.txt").decode()
        self.assertEqual(text.split(), ["[pytest11]", "bough", "=", "pytest_bough"])

    def test_metadata(self):
        """its metadata are the project's"""
        text = zipfile.ZipFile(wheel()).read(f"{BASE}.dist-info/METADATA").decode()
        metadata = email.message_from_string(text)
        self.assertEqual((metadata["Name"], metadata["Version"]), ("bough", PROJECT["version"]))
        self.assertIn("MIT License", metadata["License"])
        self.assertEqual(metadata["Requires-Python"], ">=3.11")
        self.assertEqual(metadata.get_all("Classifier"), PROJECT["classifiers"])
        self.assertIn("# bough", metadata.get_payload())

    def test_extension_stands_alone(self):
        """its extension needs only libc, and exports only its init function"""
        zipfile.ZipFile(wheel()).extract(EXTENSION, place)
        dynamic = run("readelf", "--dynamic", "--wide", place / EXTENSION)
        needed = {line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "(NEEDED)" in line}
        self.assertEqual({name for name in needed if not name.startswith(("libc.", "libgcc_s.", "ld-linux"))}, set())
        self.assertNotIn("PATH)", dynamic)
        symbols = run("nm", "--dynamic", "--defined-only", "--format=just-symbols", place / EXTENSION)
        self.assertEqual(symbols.split(), ["PyInit__bough"])

    def test_install(self):
        """pip installs it into a separate environment, where it is imported"""
        python = place / "env/bin/python"
        run(sys.executable, "-m", "venv", "--without-pip", place / "env")
        run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", wheel())
        said = run(python, "-I", "-c", "import bough; print(bough.__version__, bough.__file__)").split()
        self.assertEqual(said[0], PROJECT["version"])
        self.assertTrue(Path(said[1]).is_relative_to(place / "env"), said)
        self.assertEqual(run(python, "-I", "-m", "bough", "--version"), f"bough {PROJECT['version']}\n")
