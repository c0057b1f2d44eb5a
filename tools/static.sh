#!/bin/sh
# SPDX-License-Identifier: MIT
# static.sh cppcheck|clang-tidy: static analysis of src/ and cli/.
set -eu
cd "$(dirname "$0")/.."
files=$(find src cli -name '*.c' | grep -v -e src/arch/aarch64 -e src/arch/riscv64 -e src/arch/generic | sort)
case $1 in
cppcheck)
    exec cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppressions-list=tools/cppcheck.txt -D__GNUC__=12 -D_GNU_SOURCE -DBO_HOOKS=0 -Iinclude -Isrc -Icli $files
    ;;
clang-tidy)
    # clang 14's va_list checker keeps state from one file to the next, and then reports each va_list as uninitialised.
    # So each file has a process, and the build folder compiles none twice (the tests compile the command's again).
    [ -f build-tidy/build.ninja ] || meson setup build-tidy -Dtests=false -Dexamples=false >/dev/null
    ninja -C build-tidy src/inspect/syscalls.inc cli/style.inc cli/page.inc >/dev/null # sources include them
    printf '%s\n' $files | xargs -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' -p build-tidy
    ;;
*) echo "usage: static.sh cppcheck|clang-tidy" >&2 && exit 2 ;;
esac
