# SPDX-License-Identifier: MIT
"""
The build backend: it runs meson and ninja, which the system has or pip fetches, and writes the wheel and the source distribution.

It needs no package of Python: so `pip install ./python` works without a network for each interpreter, also where the system has
packages for one version only. This package is a folder of a repository, and subprojects/bough in it a link to the root: the source
distribution has what the build needs of the C library in that place, so it can be unpacked anywhere.
"""
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

# Beside this file, which pip has put on the path.
import bough_metadata as metadata
import bough_needs as needs
import bough_wheel as wheel

LIBRARY = Path("subprojects/bough")
PARTS = (
    *("LICENSE", "meson.build", "meson_options.txt", "cli", "include", "src"),
    *("tools/distutils", "tools/embed.py", "tools/kernel-headers.sh", "tools/syscalls.py"),
)
LEFTOVERS = {"PKG-INFO", "build", "dist", "subprojects", "__pycache__"}
SETUP = ("-Ddebug=false", "-Doptimization=2", "-Db_ndebug=true")

# ---- the wheel -----------------------------------------------------------------------------------------------------


def get_requires_for_build_wheel(config_settings=None):
    """What pip is to fetch, where the system has it not."""
    return needs.to_be_fetched()


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    project = metadata.of(Path.cwd())
    return wheel.write_info(Path(metadata_directory), project)


def options(config_settings, name):
    """pip gives one as text, several as a list."""
    given = (config_settings or {}).get(name, [])
    return [given] if isinstance(given, str) else list(given)


def run(command, environment):
    done = subprocess.run(command, env=environment)
    if done.returncode:
        sys.exit(f"bough: {' '.join(command[:2])} has failed with status {done.returncode}: its output is above")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    needs.check()
    source, environment = Path.cwd(), needs.environment()
    with tempfile.TemporaryDirectory(prefix="bough-build-") as folder:
        setup = [*SETUP, f"-Dpython={sys.executable}", *options(config_settings, "setup-args")]
        run([needs.find("meson"), "setup", folder, str(source), *setup], environment)
        run([needs.find("ninja"), "-C", folder, *options(config_settings, "compile-args")], environment)
        plan = json.loads(Path(folder, "meson-info/intro-install_plan.json").read_text())
        return wheel.write(Path(wheel_directory), metadata.of(source), installed(plan))


def installed(plan):
    """Path in the wheel -> file. What the library installs is not for the package."""
    files = {}
    for kind in plan.values():
        for file, where in kind.items():
            root, _, path = where["destination"].partition("/")
            if root in ("{py_platlib}", "{py_purelib}"):
                files[path] = Path(file)
    return files


# ---- the source distribution ------------------------------------------------------------------------------------------


def get_requires_for_build_sdist(config_settings=None):
    return []


def in_repository(folder, parts):
    """What git knows of these parts, or None where they are in no repository."""
    command = ["git", "-C", folder, "ls-files", "-z", "--error-unmatch", "--", *parts]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return None if run.returncode else [Path(name) for name in run.stdout.split("\0") if name]


def on_disk(folder, parts):
    """All that is there, but for what builds leave behind."""
    for part in parts:
        path = folder / part
        if path.is_dir() and not path.is_symlink():
            names = (p.name for p in path.iterdir())
            kept = (n for n in names if n not in LEFTOVERS and not n.startswith(("bough-build-", "build-")))
            yield from on_disk(folder, [part / n for n in sorted(kept)])
        elif path.exists():
            yield part


def collect(folder, parts):
    parts = [Path(part) for part in parts]
    found = in_repository(folder, parts)
    return sorted(on_disk(folder, parts) if found is None else found)


def contents(project):
    """Path in the archive -> file."""
    own = {path: project / path for path in collect(project, ["."]) if path != LIBRARY}
    library = {LIBRARY / path: project / LIBRARY / path for path in collect(project / LIBRARY, PARTS)}
    return own | library


def add(archive, name, data, mode, when):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, when
    archive.addfile(info, io.BytesIO(data))


def build_sdist(sdist_directory, config_settings=None):
    source = Path.cwd()
    project = metadata.of(source)
    base = f"{project.name}-{project.version}"
    when = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    target = Path(sdist_directory, base + ".tar.gz")
    with gzip.GzipFile(target, "wb", mtime=when) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, path in contents(source).items():
            data = project.readme.encode() if name == Path("README.md") else path.read_bytes()
            add(archive, f"{base}/{name}", data, 0o755 if os.access(path, os.X_OK) else 0o644, when)
        add(archive, f"{base}/PKG-INFO", project.text().encode(), 0o644, when)
    return target.name
