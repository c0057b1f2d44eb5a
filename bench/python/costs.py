# SPDX-License-Identifier: MIT
"""
costs.py [--quick] [--only GROUP]... [--json FILE]: measures the costs of the Python package, and prints a table.

Each group of rows is a module beside this file, and is measured in a separate process. The package is
found by PYTHONPATH; bench/python/run builds it and calls this.
"""
import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
GROUPS = ("locks", "calls", "queues", "points", "branches", "wakes", "stopping", "crowds", "idle", "imports")


# ---- the machine ----------------------------------------------------------------------------------------------------


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "CPU part"):
            return value.strip()
    return "unknown processor"


def facts():
    system = os.uname()
    return {
        "cpu": f"{processor()}, {os.cpu_count()} cores, {len(os.sched_getaffinity(0))} usable",
        "kernel": f"{system.sysname} {system.release} {system.machine}",
        "python": f"{platform.python_version()}, {platform.python_compiler()}, {sys.executable}",
        "load": f"{os.getloadavg()[0]:.1f}",
    }


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure_here(group, quick):
    """Runs in the group's process, and prints each row as a line of JSON."""
    for row in importlib.import_module(group).rows(quick):
        print(json.dumps(row.as_dict()), flush=True)


def measure(group, quick):
    """Returns the group's rows, and why some are missing: None if all are there."""
    command = [sys.executable, __file__, "--here", group, *(["--quick"] if quick else [])]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) | {"group": group} for line in run.stdout.splitlines()]
    return rows, None if run.returncode == 0 else f"its process ended with status {run.returncode}"


# ---- the table ------------------------------------------------------------------------------------------------------


def number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def target(row):
    parts = [] if row["at_most"] is None else [f"{row['at_most']:.2f}"]
    parts += [] if row["value_at_most"] is None else [f"{number(row['value_at_most'])} {row['unit']}"]
    return ", ".join(parts)


def met(row):
    """Whether the row meets its target. "NO ~": the ratio misses it, but its lower quartile does not."""
    if row["at_most"] is None and row["value_at_most"] is None:
        return ""
    too_slow = row["at_most"] is not None and row["ratio"] > row["at_most"] + 0.005
    too_much = row["value_at_most"] is not None and row["value"] > row["value_at_most"]
    if not too_slow and not too_much:
        return "yes"
    return "NO" if too_much or row["low"] > row["at_most"] else "NO ~"


def cells(row):
    unit = f" {row['unit']}"
    compared = row["ratio"] is not None
    return (
        row["what"],
        row["against"],
        f"{row['ratio']:.2f}" if compared else "",
        f"{row['low']:.2f} to {row['high']:.2f}" if compared else "",
        number(row["value"]) + unit,
        number(row["other"]) + unit if compared else "",
        target(row),
        met(row),
    )


def print_table(rows):
    table = [("what", "against", "ratio", "quartiles", "bough's", "theirs", "to reach", "met"), *map(cells, rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for i, line in enumerate(table):
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(line[2:7], widths[2:7], strict=True)]
        print("  ".join([*left, *right, line[7]]).rstrip())
        if i == 0:
            print("  ".join("-" * width for width in widths))


def main():
    parser = argparse.ArgumentParser(prog="costs.py")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about a minute")
    parser.add_argument("--only", action="append", choices=GROUPS, help="measure only this group; may be repeated")
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    parser.add_argument("--here", choices=GROUPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        return measure_here(options.here, options.quick)
    machine, rows, failed = facts(), [], []
    for group in options.only or GROUPS:
        more, error = measure(group, options.quick)
        rows += more
        failed += [(group, error)] if error else []
    for name, text in machine.items():
        print(f"{name:9} {text}")
    print()
    print_table(rows)
    print("\nratio: bough's value over the other's, the median over all rounds that ran in turns, and the quartiles.")
    print("NO ~: the target lies within the quartiles. A row without a target is for information.")
    answers = [answer for answer in map(met, rows) if answer]
    print(f"targets met: {answers.count('yes')} of {len(answers)}, here: {machine['cpu']}")
    for group, error in failed:
        print(f"group {group} is not complete: {error}")
    if options.json:
        options.json.write_text(json.dumps({"facts": machine, "rows": rows}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
