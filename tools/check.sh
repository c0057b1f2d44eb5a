#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh: runs the checks of a release, and prints a line for each. The other checks run even if one fails.
set -uo pipefail
cd "$(dirname "$0")/.."

results=() failed=0
step() {
    local name=$1 start=$SECONDS
    shift
    echo
    echo "==== $name"
    if "$@"; then
        results+=("ok      $name ($((SECONDS - start)) s)")
    else
        results+=("FAILED  $name ($((SECONDS - start)) s)")
        failed=1
    fi
}

step format tools/format.sh --check
step layers python3 tests/layers.py .
step cppcheck tools/static.sh cppcheck
step clang-tidy tools/static.sh clang-tidy
step docs tools/site/make.sh
step wheels make --no-print-directory wheels
step deb make --no-print-directory deb
step legs tools/legs.sh native hooks generic musl aarch64 riscv64 ppc64le s390x python python-loss cpython peers-python clang asan tsan valgrind slow fuzz loss

echo
printf '%s\n' "${results[@]}"
exit $failed
