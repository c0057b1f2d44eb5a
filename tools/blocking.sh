#!/bin/bash
# SPDX-License-Identifier: MIT
#
# blocking.sh [--more [FAMILY...]]: interrupts each blocking call of the standard library with CPython 3.11, 3.12 and
# 3.13, and makes the tables of docs/blocking.md from the results. --more: only calls without results, or those of some
# families (python/tests/test_blocking_FAMILY.py). COUNT is the number of interrupts in each of three ways; the default
# is 67. Takes 20 minutes.
set -eu
cd "$(dirname "$0")/.."
files=() what=measure
if [ "${1:-}" = --more ]; then
    what="more"
    shift
fi
for version in 3.11 3.12 3.13; do
    read -r _ interpreter < <(/usr/bin/env PATH="/usr/bin:$PATH" python3 tools/pythons.py $version) || {
        echo "blocking.sh: the tables need CPython $version with Python.h, which was not found" >&2
        exit 1
    }
    folder=build-python-$version
    export PYTHONPATH=$PWD/tools # meson 1.0 imports distutils, which Python 3.12 removed
    [ -f $folder/build.ninja ] || meson setup $folder python -Dwerror=true -Dpython="$interpreter"
    ninja -C $folder
    files+=("$PWD/$folder/blocking.json")
    (
        cd $folder
        PYTHONPATH=.:tests LD_LIBRARY_PATH=tests "$interpreter" ../python/tests/table.py $what "${COUNT:-67}" blocking.json "$@"
    )
done
PYTHONPATH='' python3 python/tests/table.py write "${files[@]}"
