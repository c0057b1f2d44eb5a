#!/bin/sh
# SPDX-License-Identifier: MIT
# models/run.sh [MODEL...]: searches the models with Spin, completely, and reports in TAP. README.md says what they are.
# A search fails that is not complete, that finds an error, or that does not find the fault that was put in.
# JOBS=N: as many at a time. STATES=1: print the number of states of each search.
set -u
cd "$(dirname "$0")" || exit 1
here=$PWD

# result SEARCH EXPECTED: why the search in this folder is not as expected; nothing if it is.
result() {
    [ -s pan ] || { echo "spin or gcc failed: $(head -n 3 spin.out gcc.out | tr '\n' ' ')"; return; }
    if [ "$2" = complete ]; then
        grep -q 'errors: 0$' out || { echo "found: $(grep -m 1 '^pan:1' out || tail -n 1 out)"; return; }
        grep -q '^Full statespace search' out || { echo "not a full search"; return; }
        grep -qE 'Search not completed|max search depth too small|out of memory|Hash-Compact|Bit statespace' out &&
            echo "not complete: $(grep -m 1 -E 'not completed|too small|memory|Hash|Bit' out)"
        return
    fi
    case $2 in
    asleep) kind='invalid end state' ;;
    violated) kind='assertion violated' ;;
    endless) kind='non-progress cycle' ;;
    esac
    grep -q "^pan:1: $kind" out || echo "the fault was not found as '$kind': $(grep -m 1 -E '^pan:1|errors:' out || tail -n 1 out)"
}

# one MODEL EXPECTED FLAG...
one() {
    model=$1 expected=$2
    shift 2
    folder=$(mktemp -d) && cd "$folder" || exit 1
    case "$expected $* " in
    *endless* | *" -DLIVE "*) how='-DNP -DNFAIR=3' run='-l -f' ;; # with fairness: a process that can run does
    *) how=-DSAFETY run= ;;
    esac
    [ "$expected" = complete ] && how="$how -O1"
    spin -a "$@" "$here/$model.pml" >spin.out 2>&1 &&
        gcc -w $how -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=4096 -o pan pan.c >gcc.out 2>&1 && ./pan -n -m1000000 $run >out 2>&1
    why=$(result "$*" "$expected")
    states=$(awk '/states, stored/ {printf "%d", $1}' out 2>/dev/null)
    # Without a number: they end in any order.
    [ -z "$why" ] && echo "ok - $model $* ($expected)${STATES:+ # $states states}" ||
        printf 'not ok - %s %s (%s)\n# %s\n' "$model" "$*" "$expected" "$why"
    cd / && rm -rf "$folder"
}

if [ "${1-}" = --one ]; then
    shift
    one "$@"
    exit
fi

plan=$(grep -v '^ *#' searches | grep . | { [ $# = 0 ] && cat || grep -E "^($(echo "$*" | tr ' ' '|')) "; })
echo "1..$(echo "$plan" | wc -l)"
results=$(mktemp)
echo "$plan" | xargs -P "${JOBS:-$(nproc)}" -L 1 ./run.sh --one | tee "$results"
failed=$(grep -c '^not ok' "$results") done=$(grep -cE '^(not )?ok' "$results")
rm -f "$results"
[ "$failed" = 0 ] && [ "$done" = "$(echo "$plan" | wc -l)" ]
