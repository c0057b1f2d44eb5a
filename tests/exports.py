# SPDX-License-Identifier: MIT
"""exports.py INCLUDE LIBRARY MAP SYMBOLS: the library exports exactly the names that the headers declare BOUGH_API. The
Debian package's list has the same names."""
import re
import subprocess
import sys
from pathlib import Path

include, library, version_map, listed = (Path(a) for a in sys.argv[1:5])


def declared():
    names = set()
    for header in [include / "bough.h", *sorted((include / "bough").glob("*.h"))]:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header.read_text(), flags=re.S)
        text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", " ", text, flags=re.M)
        text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", " ", text)
        for declaration in re.findall(r"\bBOUGH_API\b([^;{]*)[;{]", text):
            call = re.search(r"\b(\w+)\s*\(", declaration)
            names.add(call.group(1) if call else re.findall(r"\w+", declaration)[-1])
    return names


def exported():
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        _, kind, name = line.split()
        if kind != "A":  # A: a version, not a function
            name, _, version = name.partition("@@")
            found[name] = version
    return found


def packaged():
    """The functions in debian/libbough0.symbols, without the versions' entries."""
    return set(re.findall(r"^ (bough_\w+)@BOUGH_[0-9.]+ ", listed.read_text(), re.M))


want, have = declared(), exported()
versions = set(re.findall(r"^(BOUGH_[0-9.]+)", version_map.read_text(), re.M))
checks = {
    "each BOUGH_API is exported": sorted(want - have.keys()),
    "nothing else is exported": sorted(have.keys() - want),
    "the list of the Debian package has each": sorted(have.keys() ^ packaged()),
    "each symbol has a version of the map": sorted(n for n, v in have.items() if v not in versions),
}
print(f"1..{len(checks)}")
for number, (name, faults) in enumerate(checks.items(), 1):
    print(f"{'not ' if faults else ''}ok {number} - {name}")
    for fault in faults:
        print("#", fault)
print(f"# {len(have)} symbols")
sys.exit(any(checks.values()))
