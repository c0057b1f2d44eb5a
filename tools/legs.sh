#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# legs.sh LEG...: builds and runs the test suite once for each leg, in a separate build folder, then counts the results.
# `make test` runs the quick ones, `make check` all.
#
# leg NAME FOLDER SCALE LOSS "SUITES" [VARIABLE=VALUE...] -- [SOURCE] MESON SETUP OPTIONS
set -uo pipefail
cd "$(dirname "$0")/.."

# Many tests wait more than they compute. The compiler cache serves each leg that compiles the same code.
export MESON_TESTTHREADS=${MESON_TESTTHREADS:-$(($(nproc) + 2))} CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

all="semantics calls sync resolve signals inspect misuse loss races ladder harness cpp"
logs=()

leg() {
    local name=$1 folder=$2 scale=$3 loss=$4 suites=$5 settings=() log start=$SECONDS
    shift 5
    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    shift
    log=$folder/meson-logs/$name${wrap:+-valgrind}.json # meson adds the wrapper's name
    logs+=("$name=$log")
    rm -f "$log"
    echo
    echo "==== $name ===="
    if [ ! -f "$folder/build.ninja" ]; then
        rm -rf "$folder"
        env "${settings[@]}" meson setup "$folder" "$@" >"$folder.log" 2>&1 || {
            cat "$folder.log"
            rm -f "$folder.log"
            return
        }
        rm -f "$folder.log"
    fi
    if ! env "${settings[@]}" ninja -C "$folder" >"$folder/ninja.log" 2>&1; then
        grep -v '^\[' "$folder/ninja.log" | tail -n 100
        return
    fi
    env T_SCALE="${T_SCALE:-$scale}" BOUGH_LOSS="${BOUGH_LOSS:-$loss}" "${settings[@]}" \
        meson test -C "$folder" --no-rebuild --logbase "$name" --timeout-multiplier "${T_SCALE:-$scale}" \
        $(printf -- '--suite %s ' $suites) "${wrap[@]}" </dev/null
    echo "==== $name: $((SECONDS - start)) s"
}

# python_legs NAME MOST LOSS "SUITES": a leg for each interpreter, at most MOST; of the versions in PYTHONS, if set.
python_legs() {
    local version interpreter found help scale
    mapfile -t found < <(/usr/bin/env PATH="/usr/bin:$PATH" python3 tools/pythons.py ${PYTHONS:-})
    for line in "${found[@]:0:$2}"; do
        read -r version interpreter <<<"$line"
        help=() # meson 1.0 imports distutils, which Python 3.12 removed
        "$interpreter" -c 'import distutils' 2>/dev/null || help=(PYTHONPATH="$PWD/tools")
        scale=1
        [[ $version != *d ]] || scale=3 # a debug build is about three times slower
        leg "$1-$version" "build-python-$version" $scale "$3" "$4" "${help[@]}" -- \
            python -Dwerror=true -Dpython="$interpreter"
    done
    [ ${#found[@]} -gt 0 ] || logs+=("python=no interpreter with Python.h${PYTHONS:+ of the versions $PYTHONS}")
}

wrap=()
for name in "$@"; do
    case $name in
    native) leg native build 1 4000 "$all interpose clients cli unstoppable examples project install" -- -Dtest_library=shared ;;
    hooks) leg hooks build-hooks 1 1000 "races sync loss ladder" -- -Dhooks=true ;;
    generic) leg generic build-generic 2 300 "semantics sync interpose loss" -- -Darch=generic ;;
    musl) leg musl build-musl 1 2000 "semantics calls sync interpose loss harness" -- --native-file tools/cross/musl.ini ;;
    python) python_legs python 9 1000 "python package" ;;
    python-loss) python_legs python-loss 1 20000 loss ;;
    cpython-quick) # CPython's own tests, with and without bough; most of their time they sleep
        MESON_TESTTHREADS=4 python_legs cpython-quick 1 1000 cpython-quick
        ;;
    aarch64) leg aarch64 build-aarch64 5 300 "semantics sync interpose loss harness" -- --cross-file tools/cross/aarch64.ini ;;
    riscv64-quick) leg riscv64-quick build-riscv64 5 300 "semantics races" -- --cross-file tools/cross/riscv64.ini ;;
    # The rest is for `make check`.
    riscv64 | ppc64le | s390x)
        leg "$name" "build-$name" 5 300 "semantics sync races interpose loss harness" -- --cross-file "tools/cross/$name.ini"
        ;;
    asan)
                # No fake stacks: bough detects a plain longjmp() by the addresses of frames. No SIGSEGV handler and no
        # alternate stack of the sanitizer: some tests install theirs.
        leg asan build-asan 4 5000 "$all interpose" \
            ASAN_OPTIONS=detect_stack_use_after_return=0:handle_segv=0:use_sigaltstack=0 \
            UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 -- \
            -Dhooks=true -Db_sanitize=address,undefined
        ;;
    tsan)
        # atexit_sleep_ms: by default each process sleeps for a second at its end, and each test is a process.
        leg tsan build-tsan 10 2000 "$all interpose" TSAN_OPTIONS=halt_on_error=1:handle_segv=0:atexit_sleep_ms=0 -- \
            -Dhooks=true -Db_sanitize=thread
        ;;
    delays) # threads that are late at places which a seed chooses (tests/delays.c); T_DELAY_SEED=NUMBER repeats a run
        seed=${T_DELAY_SEED:-$((RANDOM * 32768 + RANDOM))}
        leg delays build-delays 10 100 "$all interpose" T_DELAY_SEED="$seed" -- -Ddelays=true -Dhooks=true
        echo "==== delays: T_DELAY_SEED=$seed"
        ;;
    clang) # DWARF 4, because valgrind, which some tests run, can't read all of clang's DWARF 5
        leg clang build-clang 1 5000 "$all interpose" CC=clang -- -Dhooks=true -Dc_args=-gdwarf-4
        ;;
    valgrind)
        wrap=(--wrap "valgrind --quiet --error-exitcode=99 --fair-sched=yes --suppressions=$PWD/tools/valgrind.supp")
        leg valgrind build-hooks 10 100 valgrind -- -Dhooks=true # tests/meson.build lists the tests
        wrap=()
        ;;
    cpython) python_legs cpython 9 1000 cpython ;; # all of them, with each interpreter that has them: takes long
    peers-python) python_legs peers-python 1 1000 peers ;; # the tests of trio, pyzmq and distributed, with and without bough
    slow) leg slow build 1 10000 slow -- -Dtest_library=shared ;;
    fuzz) leg fuzz build 1 10000 fuzz -- -Dtest_library=shared ;; # the command, built with sanitizers; prints its seed
    loss) leg loss build 10 100000 loss -- -Dtest_library=shared ;;
    *) echo "legs.sh: no leg $name" >&2 && exit 2 ;;
    esac
done
/usr/bin/env PATH="/usr/bin:$PATH" python3 tools/tally.py "${logs[@]}"
