# SPDX-License-Identifier: MIT
"""
pythons.py [VERSION...]: prints a line VERSION PATH for each interpreter that the Python package is tested with: all
that are found, or those of these versions.

It finds Debian's and one of each newer version: on PATH, in the usual places, or in pyenv's folder. It must be
CPython and have its headers. An interpreter that does not run (a shim for a version that is not selected) is skipped. A
debug build is a version with a d, a free-threaded one with a t.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NAME = re.compile(r"python3\.(\d+)t?d?")
FIRST = "/usr/bin/python3"
FACTS = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "cpython": platform.python_implementation() == "CPython",
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "number": sys.version_info[:2],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
    "path": sys.executable,
}))
"""


def folders():
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (Path(name) for name in os.environ.get("PATH", "").split(":") if name)
    yield from (Path("/usr/bin"), Path("/usr/local/bin"), Path.home() / ".local/bin")
    yield from (path / "bin" for path in sorted((pyenv / "versions").glob("3.*"), reverse=True))


def named_well(name):
    match = NAME.fullmatch(name)
    return match and (3, int(match.group(1))) >= OLDEST


def candidates():
    yield FIRST
    for folder in folders():
        if folder.is_dir():
            yield from (str(p) for p in sorted(folder.iterdir()) if named_well(p.name) and os.access(p, os.X_OK))


def facts(path):
    try:
        run = subprocess.run([path, "-I", "-c", FACTS], capture_output=True, text=True, timeout=60)
        return json.loads(run.stdout) if run.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def usable():
    """name -> path, the first that is found of each version."""
    found = {}
    for path in dict.fromkeys(candidates()):
        fact = facts(path)
        if fact and fact["cpython"] and fact["headers"] and tuple(fact["number"]) >= OLDEST:
            name = "{}.{}".format(*fact["number"]) + "t" * fact["free_threaded"] + "d" * fact["debug"]
            found.setdefault(name, fact["path"])
    return found


for name, path in sorted(usable().items(), key=lambda item: [int(n) for n in re.findall(r"\d+", item[0])]):
    if name in sys.argv[1:] or not sys.argv[1:]:
        print(name, path)
