# SPDX-License-Identifier: MIT
"""delays.py DELAYED DELAYED_LIBRARY: the delays of a build with -Ddelays=true (delays.c) come, and the seed chooses them."""
import collections
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checks

delayed, delayed_library = sys.argv[1:3]


def run(program, **settings):
    """What it prints, and the places of its delays in their order."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        env = {name: value for name, value in os.environ.items() if not name.startswith("T_DELAY")}
        env.update({f"T_DELAY_{name}": str(value) for name, value in settings.items()}, T_DELAY_LOG=str(log))
        text = subprocess.run([program], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
        return text, [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def check_off():
    """without a seed there are no delays"""
    _, places = run(delayed)
    if places:
        yield f"delays at {places}"


def check_counted():
    """a place is delayed as often as asked for, and the program takes that much longer"""
    for times in (1, 2):
        text, places = run(delayed, SEED=1, EVERY=10, TIMES=times, MS=5)
        if not places or max(collections.Counter(places).values()) != times:
            yield f"not {times} delays at most at a place: {places}"
        if int(text) < 5 * len(places):
            yield f"{len(places)} delays of 5 ms took {text.strip()} ms"


def check_seed():
    """a seed chooses the same places each time, and another seed others"""
    first, again, other = (run(delayed, SEED=seed, EVERY=10, MS=1)[1] for seed in (1, 1, 2))
    if first != again:
        yield f"{first}, then {again}"
    if set(first) == set(other):
        yield f"seeds 1 and 2 both choose {first}"


def check_places():
    """chosen places alone are delayed"""
    _, places = run(delayed, SEED=1, EVERY=5, MS=1)
    some = sorted(set(places))[:2]
    _, found = run(delayed, PLACES=",".join(some), MS=1)
    if len(some) != 2 or sorted(set(found)) != some:
        yield f"asked for {some}: {found}"


def check_library():
    """places of the library are delayed too"""
    _, places = run(delayed_library, SEED=1, EVERY=1, TIMES=1, MS=0)
    addr2line = shutil.which("addr2line")
    if not addr2line:
        return
    found = subprocess.run([addr2line, "-e", delayed_library, *places], stdout=subprocess.PIPE, text=True, check=True).stdout
    for file in ("src/state/record.c", "src/wake/post.c", "tests/delayed_library.c"):
        if file not in found:
            yield f"no place of {file} among {len(places)}"


checks.run([check_off, check_counted, check_seed, check_places, check_library])
