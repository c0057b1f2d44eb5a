#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
wheels.py [VERSION...]: builds the source distribution and a wheel for each interpreter that is found (pythons.py), or those of these
versions, into dist/; and checks them.

Each wheel gets the tag of the oldest system that it runs on, manylinux_X_Y_MACHINE (PEP 600): X.Y is the newest version of glibc that one
of its files needs, and a library that such a system may lack is an error. Then the wheel is installed into an empty
virtual environment, without a compiler in PATH, where a program uses it. The source distribution is built and
installed in the same way.

wheels.py --try FILE...: only that, with the wheels that fit this interpreter: tools/newest.sh runs it in a newer Debian.
"""
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKEND = ROOT / "python/backend"
DIST = ROOT / "dist"
PROGRAM = ROOT / "tools/wheels_program.py"
sys.path.insert(0, str(BACKEND))
sys.dont_write_bytecode = True

# The libraries of glibc and of the compiler, which each system of the tag has.
ALLOWED = re.compile(r"lib(c|m|dl|rt|pthread|util|resolv|gcc_s)\.so\.\d+|ld-linux[\w-]*\.so\.\d+|ld64\.so\.\d+")


def fail(text):
    sys.exit(f"wheels.py: {text}")


def run(*command, where=ROOT, **environment):
    done = subprocess.run([str(c) for c in command], cwd=where, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        fail(f"{' '.join(map(str, command[:4]))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


# ---- building ----------------------------------------------------------------------------------------------------------


def build(python, hook, source=ROOT / "python"):
    """Runs the backend's hook with this interpreter. Returns the path of the built file."""
    script = f"import sys; sys.path.insert(0, {str(source / 'backend')!r}); import bough_backend; print(bough_backend.{hook}({str(DIST)!r}))"
    return DIST / run(python, "-c", script, where=source).split()[-1]


# ---- the tag -----------------------------------------------------------------------------------------------------------


def elf_files(wheel):
    """(name, ELF file) of each ELF file in the wheel."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError:
        fail("there is no module elftools: apt-get install python3-pyelftools")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                if file.read(4) == b"\x7fELF":
                    file.seek(0)
                    yield name, ELFFile(file)


def needs(elf):
    """The libraries and the versions of symbols that the file needs."""
    dynamic, versions = elf.get_section_by_name(".dynamic"), elf.get_section_by_name(".gnu.version_r")
    libraries = [tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
    names = [aux.name for _, auxiliaries in versions.iter_versions() for aux in auxiliaries] if versions else []
    return libraries, names


def glibc_of(wheel):
    """The newest version of glibc that the wheel needs."""
    newest = (2, 17)
    for name, elf in elf_files(wheel):
        libraries, versions = needs(elf)
        for library in libraries:
            if not ALLOWED.fullmatch(library):
                fail(f"{wheel.name}: {name} needs {library}, which not every system has: build it without")
        for version in versions:
            if match := re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version):
                newest = max(newest, (int(match[1]), int(match[2])))
            elif version.startswith("GLIBC_"):
                newest = max(newest, (2, 36) if version == "GLIBC_ABI_DT_RELR" else fail(f"{wheel.name}: {name} needs {version}"))
    return newest


def tagged(wheel):
    """Replaces the wheel by one with the tag of the oldest system that it runs on. Returns its path."""
    import bough_wheel

    plain = "linux_" + platform.machine()
    new = "manylinux_{}_{}_{}".format(*glibc_of(wheel), platform.machine())
    target = wheel.with_name(wheel.name.replace(plain, new))
    record = ""
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as archive:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith(".dist-info/WHEEL"):
                data = data.replace(plain.encode(), new.encode())
            if info.filename.endswith(".dist-info/RECORD"):
                data = (record + f"{info.filename},,\n").encode()
            else:
                record += bough_wheel.line(info.filename, data)
            archive.writestr(info, data)
    wheel.unlink()
    return target


# ---- trying ------------------------------------------------------------------------------------------------------------


def try_out(python, package, path):
    """Installs the package and runs the program. `path` is added to PATH; for a wheel it has no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        environment = {"PATH": f"{folder}/bin{path}", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
        run(f"{folder}/bin/python", "-m", "pip", "install", "--no-deps", package, where=folder, **environment)
        print(f"{package.name}: {run(f'{folder}/bin/python', '-I', PROGRAM, where=folder, **environment).strip()}", flush=True)


def fits(wheel):
    import bough_wheel

    return f"-{'-'.join(bough_wheel.tag().split('-')[:2])}-" in wheel.name


def try_these(files):
    wheels = [Path(file).resolve() for file in files if fits(Path(file))]
    if not wheels:
        fail(f"none of these wheels is for {sys.executable}: {' '.join(files)}")
    for wheel in wheels:
        try_out(sys.executable, wheel, "")


def main(versions):
    found = [line.split() for line in run(sys.executable, ROOT / "tools/pythons.py", *versions).splitlines()]
    if not found:
        fail(f"there is no interpreter with Python.h{' of the versions ' * bool(versions)}{' '.join(versions)}")
    DIST.mkdir(exist_ok=True)
    sdist = build(found[0][1], "build_sdist")
    print(sdist.relative_to(ROOT), flush=True)
    for _, python in found:
        wheel = tagged(build(python, "build_wheel"))
        print(wheel.relative_to(ROOT), flush=True)
        try_out(python, wheel, "")
    try_out(found[0][1], sdist, ":/usr/bin:/bin")


if sys.argv[1:2] == ["--try"]:
    try_these(sys.argv[2:])
else:
    main(sys.argv[1:])
