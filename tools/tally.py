# SPDX-License-Identifier: MIT
"""
tally.py LEG=LOG...: counts the tests in meson's JSON logs, and prints a table of the legs with the sum at its end.

Each subtest of a TAP program counts. A program that fails without a failed subtest (crash, time limit, a plan that
was not kept) counts as one failure, and so does a leg without a log, which was not built.
"""
import json
import re
import sys
from pathlib import Path

LINE = re.compile(r"^(not )?ok\b[^#]*(#\s*(SKIP|TODO)\b)?", re.I)
DETAILS = 80  # the number of lines of a failed program that are shown


def count_program(entry):
    passed = failed = skipped = 0
    output = (entry.get("stdout") or "").splitlines()
    if any(re.match(r"1\.\.\d+", line) for line in output):
        for line in output:
            match = LINE.match(line)
            if not match:
                continue
            if match.group(3):
                skipped += 1
            elif match.group(1):
                failed += 1
            else:
                passed += 1
    result = entry["result"]
    if result in ("FAIL", "TIMEOUT", "INTERRUPT", "ERROR", "UNEXPECTEDPASS"):
        failed += not failed
    elif result == "SKIP":
        skipped += not skipped
    elif not passed + failed + skipped:
        passed = 1
    return passed, failed, skipped


def show_failure(leg, entry):
    """The failed subtests with the comments after them, which meson does not show."""
    lines, failed = [], False
    for line in (entry.get("stdout") or "").splitlines():
        if not line.startswith("#"):
            failed = line.startswith("not ok") or not line.startswith(("ok", "1.."))
        if failed:
            lines.append(line)
    lines += (entry.get("stderr") or "").splitlines()
    print(f"\n---- {leg}: {entry['name']}: {entry['result']}, exit status {entry.get('returncode')}")
    print("\n".join(lines[:DETAILS]))


def count_leg(leg, path):
    if not path.exists():
        print(f"\n---- {leg}: not built, see above")
        return (0, 1, 0), 0.0, ["not built"]
    total, seconds, faults = [0, 0, 0], 0.0, []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        counts = count_program(entry)
        total = [a + b for a, b in zip(total, counts)]
        seconds += entry.get("duration", 0)
        if counts[1]:
            show_failure(leg, entry)
            faults.append(entry["name"].split(" / ")[-1])
    return total, seconds, faults


def main():
    sums, table = [0, 0, 0], []
    for argument in sys.argv[1:]:
        leg, _, path = argument.partition("=")
        counts, seconds, faults = count_leg(leg, Path(path))
        sums = [a + b for a, b in zip(sums, counts)]
        table.append(f"{leg:<12}{counts[0]:>8}{counts[1]:>8}{counts[2]:>9}{seconds:>9.1f}  {' '.join(faults)}".rstrip())
    print(f"\n{'leg':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}", *table, sep="\n")
    print(f"{sums[0]} passed, {sums[1]} failed" + (f", {sums[2]} skipped" if sums[2] else ""))
    return sums[1] > 0 or sums[0] == 0


sys.exit(main())
