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


def _paths():
    """PYTHONPATH as it is, and without. pip's hides the system's packages in an environment made with --system-site-packages, also
    from the system's meson, which then can't import itself; a meson that pip has fetched needs it."""
    yield os.environ
    yield {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def version_of(meson):
    return _tried(meson)[0]


def _tried(meson):
    """(version, environment) where it runs."""
    for environment in _paths():
        try:
            said = subprocess.run([meson, "--version"], capture_output=True, text=True, env=environment).stdout
        except OSError:
            break
        version = tuple(int(n) for n in re.findall(r"\d+", said)[:3])
        if version:
            return version, environment
    return (0,), os.environ


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
    version, found = _tried(find("meson"))
    if sys.version_info < (3, 12) or version >= (1, 3):
        return dict(found)
    shim = Path.cwd() / "subprojects/bough/tools"
    return {**found, "PYTHONPATH": os.pathsep.join(filter(None, [str(shim), found.get("PYTHONPATH")]))}
