#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
delays.py SEED PROGRAM [TEST...]: which delays make a test fail? PROGRAM is a test of a build with -Ddelays=true
(tests/delays.c); the other settings T_DELAY_... and T_SCALE apply as they are.

Runs the test with the seed until it fails, then with fewer and fewer of the places that were delayed, and prints those
that are left: without one of them it no longer fails, in RUNS runs.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 3  # a failure may need luck besides the delays
MOST = 256  # places that the library takes in T_DELAY_PLACES

if len(sys.argv) < 3:
    sys.exit(__doc__.strip())
seed, command = sys.argv[1], sys.argv[2:]


def run(log=None, **settings):
    """Does it fail? And its output."""
    env = {name: value for name, value in os.environ.items() if name not in ("T_DELAY_PLACES", "T_DELAY_LOG")}
    if log:
        settings["T_DELAY_LOG"] = str(log)
    env.update(settings, T_DELAY_SEED=seed)  # beside T_DELAY_PLACES it chooses only how long the delays are
    result = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return result.returncode != 0, result.stdout.decode(errors="replace")


def fails_with(places):
    return any(run(T_DELAY_PLACES=",".join(places))[0] for _ in range(RUNS))


def delayed_places():
    """The places of a run that fails, the last one first: it is likelier to matter."""
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            failed, output = run(log)
            lines = log.read_text().split("\n") if log.exists() else []
        if failed:
            print(output)
            return list(dict.fromkeys(line.split()[0] for line in reversed(lines) if line))
    return sys.exit(f"it does not fail with seed {seed}, in {RUNS} runs")


def narrow(places):
    """Leaves out as many at once as possible, from halves down to single places."""
    size = max(len(places) // 2, 1)
    while True:
        for at in range(0, len(places), size):
            rest = places[:at] + places[at + size :]
            if rest and fails_with(rest):
                places = rest
                break
        else:
            if size == 1:
                return places
            size = (size + 1) // 2


places = delayed_places()
print(f"{len(places)} places were delayed")
if not 0 < len(places) <= MOST:
    sys.exit(f"at most {MOST} places can be narrowed down: name one test, or set T_DELAY_EVERY to more")
if not fails_with(places):
    sys.exit(f"it does not fail with the same places again, in {RUNS} runs: {','.join(places)}")
places = narrow(places)
print(f"T_DELAY_PLACES={','.join(places)}")
subprocess.run(["addr2line", "-fipe", command[0], *places], check=False)
