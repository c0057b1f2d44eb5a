# SPDX-License-Identifier: MIT
"""table.py [FILE...]: makes the table of docs/clients.md from the output of the tests of clients, such as meson-logs/testlog.txt.

    meson test -C build --suite clients
    python3 tests/clients/table.py build/meson-logs/testlog.txt
"""
import fileinput
import re

HEAD = """\
| library | call | interrupts | result | ms: median, p99, maximum | exit under preload, ms: median, maximum |
|---|---|---|---|---|---|"""


def read():
    rows, preloads = {}, {}
    for line in fileinput.input():
        found = re.search(r"# (row|preload)\|(.*)", line)
        if not found:
            continue
        library, call, *rest = found[2].rstrip().split("|")
        (rows if found[1] == "row" else preloads)[library, call] = rest
    return rows, preloads


def print_row(library, call, row, preload):
    count, median, p99, worst, why, more = row  # more: the source line, or the errors
    what = f"not interruptible: {why} (`{more}`)" if why else f"ends: {more}" if more else "ends"
    times = "" if why else f"{median}, {p99}, {worst}"
    after = ""
    if preload:
        processes, middle, longest, how = preload
        after = f"{middle}, {longest}" + (", by the ladder" if how else "")
    print(f"| {library} | {call} | {count} | {what} | {times} | {after} |")


def main():
    rows, preloads = read()
    print(HEAD)
    for (library, call), row in rows.items():
        print_row(library, call, row, preloads.get((library, call)))


main()
