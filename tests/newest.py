# SPDX-License-Identifier: MIT
"""newest.py ROOT: tools/newest.sh reports what is wrong, before it begins and where it fails."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checks

tools = Path(sys.argv[1]) / "tools"
top = tempfile.TemporaryDirectory()
os.chmod(top.name, 0o755)
shutil.copytree(tools, Path(top.name, "tools"))

FEW = ["env", "bash", "id", "dirname", "sed", "tr", "cut"]  # without dpkg, as on a system that is not Debian
IS_ROOT = os.geteuid() == 0


def newest(*arguments, before=(), environment=None):
    run = subprocess.run(
        [*before, Path(top.name, "tools/newest.sh"), *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return run.returncode, run.stdout + run.stderr


def fails(says, *arguments, **how):
    status, output = newest(*arguments, **how)
    if status != 1 or says not in output:
        yield f"status {status}, and no {says!r} in:\n{output}"


def names():
    """it reports an unknown name, and lists the valid ones"""
    for name in ["3.9", "3.13dd", "3.1*", "-h", ""]:
        yield from fails(f"there is no interpreter '{name}': give some of 3.13 3.14 3.15,", "3.14", name)


def not_root():
    """it reports that it needs root"""
    before = ["setpriv", "--reuid=65534", "--clear-groups"] if IS_ROOT else []
    yield from fails("this needs root", "3.14", before=before)


def no_debootstrap():
    """it reports that it needs debootstrap, which is not installed"""
    folder = Path(top.name, "bin")
    folder.mkdir()
    for name in FEW:
        (folder / name).symlink_to(shutil.which(name))
    yield from fails("there is no debootstrap", environment={"PATH": str(folder)})


def no_network():
    """it reports that it can't reach the mirror, and where the log is"""
    if not shutil.which("debootstrap") or subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode:
        return
    how = {"before": ["unshare", "--net"], "environment": {"NEWEST_MIRROR": "http://deb.debian.org/debian"}}
    yield from fails("is there a network, and is http://deb.debian.org/debian a mirror", "3.14", **how)
    yield from fails("failed, see build-newest/debootstrap.log", "3.14", **how)


def copies():
    """a changed file is newer than the build products of the previous copy, even if it is older here"""
    subprocess.run(["git", "init", "-q", top.name], check=True)
    changes, stays = (Path(top.name, "tools", name) for name in ("changes", "stays"))
    there = Path(top.name, "build-newest/root/bough/tools")
    times = []
    for text in ("one", "two"):
        for file in changes, stays:
            file.write_text(text if file is changes else "")
            os.utime(file, (1, 1))
        command = 'source <(sed "/^case /,\\$d" tools/newest.sh); copied'
        subprocess.run(["bash", "-c", command, "tools/newest.sh"], cwd=top.name, check=True)
        times.append([(there / file.name).stat().st_mtime_ns for file in (changes, stays)])
    if (there / "changes").read_text() != "two" or times[1][0] <= times[0][0] or times[1][1] != times[0][1]:
        yield f"times before and after: {times}"


checks.run([names, not_root, copies, *([no_debootstrap, no_network] if IS_ROOT else [])])
