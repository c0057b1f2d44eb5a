#!/bin/sh
# SPDX-License-Identifier: MIT
# static.sh cppcheck|clang-tidy: static analysis of src/.
set -eu
cd "$(dirname "$0")/.."
[ -f build/compile_commands.json ] || meson setup build -Dtest_library=shared >/dev/null
files=$(find src -name '*.c' | grep -v -e src/arch/aarch64 -e src/arch/generic | sort)
case $1 in
cppcheck)
    exec cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppressions-list=tools/cppcheck.txt -D__GNUC__=12 -D_GNU_SOURCE -DBO_HOOKS=0 -Iinclude -Isrc $files
    ;;
clang-tidy)
    # A process for each file: clang 14's va_list checker keeps names from one file to the next, and from the second on
    # takes each va_list for uninitialised.
    printf '%s\n' $files | xargs -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' -p build
    ;;
esac
