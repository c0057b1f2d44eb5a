#!/bin/sh
# SPDX-License-Identifier: MIT
# format.sh [--check]: formats the C files as .clang-format specifies, or only lists those that differ.
set -eu
cd "$(dirname "$0")/.."
files=$(find src include cli tests bench examples python \( -name '*.[ch]' -o -name '*.cpp' \) 2>/dev/null | sort)
if [ "${1-}" = --check ]; then
    exec clang-format --dry-run -Werror $files
fi
exec clang-format -i $files
