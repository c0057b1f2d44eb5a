# SPDX-License-Identifier: MIT
"""The table of docs/blocking.md.

    table.py measure COUNT FILE [FAMILY...]   interrupts each call COUNT times in each of three ways, writes the figures
    table.py write FILE...                    makes the table of figures of several interpreters, into docs/blocking.md

Each row is measured in a process of its own, forked from one that has imported the tests. The package is found as by the tests:
PYTHONPATH names the build folder and its folder of tests.
"""
import contextlib
import importlib
import json
import os
import platform
import re
import select
import signal
import sys
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parent
DOCUMENT = TESTS.parents[1] / "docs/blocking.md"
sys.path.insert(0, str(TESTS))
import enumeration  # noqa: E402

LIMIT, DAY = 300, 86400  # seconds for a row, and for a module
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
NAMES = {
    "x86_64": "0 read,1 write,7 poll,16 ioctl,19 readv,20 writev,23 select,34 pause,35 nanosleep,40 sendfile,42 connect,43 accept,"
    "44 sendto,45 recvfrom,46 sendmsg,47 recvmsg,61 wait4,72 fcntl,73 flock,76 truncate,128 rt_sigtimedwait,202 futex,230 "
    "clock_nanosleep,232 epoll_wait,247 waitid,257 openat,270 pselect6,271 ppoll,275 splice,281 epoll_pwait,288 accept4",
}


# ---- the tests' cases -------------------------------------------------------------------------------------------------------


def modules():
    return sorted(path.stem for path in TESTS.glob("test_blocking_*.py"))


def cases_of(module):
    return {make.row.key: make for make in module.cases if not hasattr(make, "skip")}


# ---- one row --------------------------------------------------------------------------------------------------------------------


def system_call(tid):
    number = Path(f"/proc/self/task/{tid}/syscall").read_text().split()[0]
    names = dict(pair.split() for pair in NAMES.get(platform.machine(), "").split(",") if pair)
    return names.get(number, number)


def series(blocking, make, way, count, found):
    """Interrupts the call so often, each time when it is blocked; then it is released, and has to return what it would have."""
    done = 0
    while done < count:
        with contextlib.contextmanager(make)() as case, blocking.Worker(case, way) as worker:
            found["state"] = case.state
            for _ in range(count - done if case.again else 1):
                worker.until_blocked(looks=3, pause=0.0007)
                found["in"].append(system_call(worker.native_id))
                found["times"].append(worker.cut())
                done += 1
            if case.again:
                worker.finish()


def measured(blocking, make, count):
    found = {"in": [], "times": [], "error": None, "state": ""}
    blocking.begin()
    try:
        for way in blocking.WAYS:
            series(blocking, make, way, count, found)
    except BaseException as error:
        found["error"] = "".join(traceback.format_exception(error))
    calls = {name: found["in"].count(name) for name in set(found["in"])}
    found["in"] = [name for name, often in sorted(calls.items(), key=lambda item: -item[1]) if often * 20 > len(found["in"])]
    return found


def in_a_process(function, limit=LIMIT):
    """What it returns, as JSON has it; an error if that takes longer than `limit` seconds."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(r)
            os.setpgid(0, 0)
            data = json.dumps(function()).encode()
            while data:
                data = data[os.write(w, data) :]
        finally:
            os._exit(0)
    os.close(w)
    data, end = b"", time.monotonic() + limit
    with os.fdopen(r, "rb", 0) as reader:
        while select.select([reader], [], [], max(0, end - time.monotonic()))[0]:
            piece = reader.read(65536)
            if not piece:
                break
            data += piece
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return json.loads(data) if data else {"error": f"nothing in {limit} s", "times": [], "in": [], "state": ""}


def measure(count, file, *families):
    """Each module in a process of its own, of which nothing stays: names for instance live in a network of their own."""
    results, limits = {}, enumeration.limits(enumeration.read())
    for name in modules():
        if families and name.removeprefix("test_blocking_") not in families:
            continue
        results |= in_a_process(lambda name=name: measured_module(name, int(count), limits), DAY)
    version = platform.python_version()
    Path(file).write_text(json.dumps({"version": version, "count": int(count), "rows": results}, indent=1))


def measured_module(name, count, limits):
    module, results = importlib.import_module(name), {}
    blocking = importlib.import_module("blocking")
    if hasattr(module, "setUpModule"):
        module.setUpModule()
    for key, make in cases_of(module).items():
        if key in limits and limits[key].is_here():
            continue
        begin = time.monotonic()
        found = in_a_process(lambda make=make: measured(blocking, make, count))
        results[" | ".join(key)] = found
        print(f"{time.monotonic() - begin:6.1f} s", *key, found["error"] or "", sep="  ", file=sys.stderr, flush=True)
    if hasattr(module, "tearDownModule"):
        module.tearDownModule()
    return results


# ---- the table ----------------------------------------------------------------------------------------------------------------------


def figures(times):
    """Median, p99 and maximum, in microseconds."""
    ordered = sorted(times)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return f"{at(0.5):.0f}, {at(0.99):.0f}, {ordered[-1]:.0f}"


def cell(row, limit, version, run):
    """The figures, or why there are none."""
    if version not in row.versions:
        return "not there"
    if limit and version in limit.versions:
        return "limit"
    found = run["rows"].get(" | ".join(row.key))
    if found is None:
        return "no test"
    return f"failed after {len(found['times'])}" if found["error"] else figures(found["times"])


def table(runs):
    rows = enumeration.read()
    limits = enumeration.limits(rows)
    versions = [".".join(run["version"].split(".")[:2]) for run in runs]
    yield "| call | what it waits for | in | the object afterwards | " + " | ".join(run["version"] for run in runs) + " |"
    yield "|---|---|---|---|" + "---|" * len(runs)
    for row in rows.values():
        found = [run["rows"].get(" | ".join(row.key)) for run in runs]
        found = [one for one in found if one and one["times"]]
        calls = list(dict.fromkeys(name for one in found for name in one["in"]))
        state = found[0]["state"] if found else ""
        cells = [cell(row, limits.get(row.key), version, run) for version, run in zip(versions, runs, strict=True)]
        yield "| " + " | ".join([f"`{row.call}`", row.what, ", ".join(calls), state, *cells]) + " |"


def list_of_limits():
    rows = enumeration.read()
    yield "| call | what it waits for | why | source | CPython |"
    yield "|---|---|---|---|---|"
    for (call, what), limit in enumeration.limits(rows).items():
        versions = "all" if limit.versions == rows[call, what].versions else ", ".join(limit.versions)
        if limit.before:
            versions = f"before {'.'.join(map(str, limit.before))}"
        yield f"| `{call}` | {what} | {limit.why} | `{limit.source}` | {versions} |"


def summary(runs):
    """How many there are of each sort, for each interpreter."""
    rows = enumeration.read()
    limits = enumeration.limits(rows)
    yield "| CPython | calls | interrupted | limits | without a test | failed | interrupts of each | median of medians, us |"
    yield "|---|---|---|---|---|---|---|---|"
    for run in runs:
        version = ".".join(run["version"].split(".")[:2])
        cells = [cell(row, limits.get(row.key), version, run) for row in rows.values() if version in row.versions]
        ends = [one for one in cells if one[0].isdigit()]
        medians = sorted(int(one.split(",")[0]) for one in ends)
        sorts = [len(cells), len(ends), cells.count("limit"), cells.count("no test"), sum("failed" in one for one in cells)]
        count = f"{3 * run['count']}"
        yield "| " + " | ".join([run["version"], *map(str, sorts), count, str(medians[len(medians) // 2])]) + " |"


def write(*files):
    runs = [json.loads(Path(file).read_text()) for file in files]
    text = DOCUMENT.read_text()
    for name, lines in (("summary", summary(runs)), ("table", table(runs)), ("limits", list_of_limits())):
        begin, end = BEGIN.replace("table", name), END.replace("table", name)
        pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.S)
        text = pattern.sub(lambda _, new="\n".join([begin, *lines, end]): new, text)
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    {"measure": measure, "write": write}[sys.argv[1]](*sys.argv[2:])
