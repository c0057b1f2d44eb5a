#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# loss.sh [COUNT] [BUILD]: runs the loss tests of the build folder BUILD (build) with COUNT interrupts each (100000).
# Prints failures, the counted losses, and those of pthread_cancel() for comparison. To be run by hand.
# `make check` runs the same tests at the same count as the leg `loss`.
set -uo pipefail
cd "$(dirname "$0")/.."

count=${1:-100000} build=${2:-build} failed=0
for test in "$build"/tests/loss-*; do
    [ -f "$test" ] && [ -x "$test" ] || continue
    echo "==== ${test##*/}"
    start=$SECONDS
    BOUGH_LOSS=$count T_SCALE=${T_SCALE:-10} "$test" | grep -v '^# T_SEED\|^1\.\.' || true
    [ "${PIPESTATUS[0]}" = 0 ] || failed=1
    echo "==== $((SECONDS - start)) s"
done
exit $failed
