# SPDX-License-Identifier: MIT
"""What a build needs of the system, and what to do where that is missing."""
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

MESON = (1, 0, 1)
NAMES = {"meson": ("meson",), "ninja": ("ninja", "ninja-build", "samu")}


def find(tool):
    """Its path; None."""
    return next(filter(None, map(shutil.which, NAMES[tool])), None)


def version_of(meson):
    try:
        said = subprocess.run([meson, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return (0,)
    return tuple(int(n) for n in re.findall(r"\d+", said)[:3]) or (0,)


def meson_lacks():
    """Why the system's meson is no use; None."""
    meson = find("meson")
    if meson is None:
        return "meson, 1.0.1 or newer"
    version = version_of(meson)
    if version < MESON:
        return f"meson, 1.0.1 or newer ({meson} is {'.'.join(map(str, version))})"
    return None


def compiler_lacks():
    wanted = shlex.split(os.environ.get("CC", "")) or ["cc", "gcc", "clang"]
    if "CC" in os.environ:
        return None if any(map(shutil.which, wanted)) else f"the C compiler that CC names: {os.environ['CC']}"
    return None if any(map(shutil.which, wanted)) else "a C compiler: there is no cc, gcc or clang in PATH"


def headers_lack():
    folder = sysconfig.get_path("include")
    return None if Path(folder, "Python.h").exists() else f"Python.h of this interpreter, {sys.executable}: it is not in {folder}"


def debian(package, fetched=""):
    return f"on Debian: apt-get install {package}{fetched}"


def lacking(fetches):
    """(what is missing, what to do), of all. `fetches`: pip fetches what can be fetched."""
    version = "{}.{}".format(*sys.version_info)
    yield compiler_lacks(), debian("build-essential")
    yield headers_lack(), debian("python3-dev" if sys.executable.startswith("/usr/bin/") else f"python{version}-dev") + ", or its package of headers"
    if not fetches:
        yield meson_lacks(), debian("meson", "; elsewhere: pip install meson")
        yield None if find("ninja") else "ninja", debian("ninja-build", "; elsewhere: pip install ninja")


def check(fetches=False):
    """Ends the build with a message."""
    missing = [(what, then) for what, then in lacking(fetches) if what]
    if missing:
        lines = "".join(f"\n  {what}\n      {then}" for what, then in missing)
        sys.exit(f"bough can't be built here. Missing:{lines}")


def to_be_fetched():
    """By pip, which has a network or has not."""
    fetches = "PIP_NO_INDEX" not in os.environ
    check(fetches)
    wanted = {"meson>=1.0.1": meson_lacks() is not None, "ninja": find("ninja") is None}
    return [name for name, is_missing in wanted.items() if is_missing]


def environment():
    """Of meson: up to 1.2 it asks distutils about the interpreter, which 3.12 and newer have not."""
    if sys.version_info < (3, 12) or version_of(find("meson")) >= (1, 3):
        return None
    shim = Path.cwd() / "subprojects/bough/tools"
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(shim), os.environ.get("PYTHONPATH")]))}
