# SPDX-License-Identifier: MIT
"""Makes the tables of docs/blocking.md. `make blocking` runs all of this (tools/blocking.sh).

    table.py measure COUNT FILE               interrupts each call COUNT times in each of three ways, writes the figures
    table.py more COUNT FILE [FAMILY...]      the same for calls of which the file has no figures; or for all of some families
                                              (test_blocking_FAMILY.py)
    table.py write FILE...                    writes tables from the figures of several interpreters into
    docs/blocking.md

Each row is measured in a separate process, forked from one that has imported the tests. As in the tests,
PYTHONPATH names the package's build folder and its folder of tests.
"""
import contextlib
import hashlib
import importlib
import json
import os
import platform
import re
import select
import signal
import sys
import textwrap
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parent
DOCUMENT = TESTS.parents[1] / "docs/blocking.md"
sys.path.insert(0, str(TESTS))
import enumeration  # noqa: E402

LIMIT, DAY = 300, 86400  # time limits in seconds, for a row and for a module
SLOW = 200  # microseconds; a median above that has a reason in slow.txt
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
    """Interrupts the call `count` times while it is blocked; then releases it, and checks that it returns the usual
    result."""
    done = 0
    while done < count:
        with blocking.opened(make) as case, blocking.Worker(case, way) as worker:
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
    """Runs the function in a process. Returns its result, by way of JSON; an error after `limit` seconds."""
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
    data, end, late = b"", time.monotonic() + limit, False
    with os.fdopen(r, "rb", 0) as reader:
        while not late:
            late = not select.select([reader], [], [], max(0, end - time.monotonic()))[0]
            piece = b"" if late else reader.read(65536)
            if not piece:
                break
            data += piece
    status = ended(pid, late)
    why = f"longer than {limit} s" if late else f"the process ended with {status}"
    return json.loads(data) if data and not late else {"error": why, "times": [], "in": [], "state": ""}


def ended(pid, late):
    """The process's exit code. If it still runs it is killed, with its child processes."""
    status = None if late else os.waitpid(pid, 0)[1]
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1] if late else status)


def machine():
    """The processor, the number of processors, and the load average before the measurement."""
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    name = model.group(1) if model else platform.machine()
    return f"{name}, {os.cpu_count()} of them; load average {os.getloadavg()[0]:.1f}"


def become_urgent():
    """Runs at real-time priority, so that other work on the machine does not count. Returns whether that succeeded."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return False
    return True


def measure(count, file):
    run = {"version": platform.python_version(), "count": int(count), "machine": [], "rows": {}}
    measured_modules(run, file, modules(), set())


def more(count, file, *families):
    run = json.loads(Path(file).read_text())
    done = {name for name, found in run["rows"].items() if not found["error"]}
    names = [name for name in modules() if not families or name.removeprefix("test_blocking_") in families]
    measured_modules(run | {"count": int(count)}, file, names, set() if families else done)


def measured_modules(run, file, names, done):
    """Measures each module in a separate process, because a module may change it: test_blocking_names enters
    namespaces."""
    where, urgent = machine(), become_urgent()
    limits = enumeration.limits(enumeration.read())
    for name in names:
        run["rows"] |= in_a_process(lambda name=name: measured_module(name, run["count"], limits, done), DAY)
    where += f" before, {os.getloadavg()[0]:.1f} after" + (", at real-time priority" if urgent else "")
    run["machine"].append(where)
    Path(file).write_text(json.dumps(run, indent=1))


def measured_module(name, count, limits, done):
    module, results = importlib.import_module(name), {}
    blocking = importlib.import_module("blocking")
    wanted = {key: make for key, make in cases_of(module).items() if " | ".join(key) not in done}
    wanted = {key: make for key, make in wanted.items() if not (key in limits and limits[key].is_here())}
    if wanted and hasattr(module, "setUpModule"):
        module.setUpModule()
    for key, make in wanted.items():
        begin = time.monotonic()
        found = in_a_process(lambda make=make: measured(blocking, make, count))
        results[" | ".join(key)] = found
        print(f"{time.monotonic() - begin:6.1f} s", *key, found["error"] or "", sep="  ", file=sys.stderr, flush=True)
    if wanted and hasattr(module, "tearDownModule"):
        module.tearDownModule()
    return results


# ---- the tables -----------------------------------------------------------------------------------------------------------------


def figures(times):
    """Median, p99 and maximum, in microseconds."""
    ordered = sorted(times)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return f"{at(0.5):.0f}, {at(0.99):.0f}, {ordered[-1]:.0f}"


def short(version):
    return ".".join(version.split(".")[:2])


def cell(row, limit, version, found):
    """The figures, or the reason why there are none."""
    if version not in row.versions:
        return "not there"
    if limit and version in limit.versions:
        return "limit"
    if found is None:
        return "no test"
    return f"failed after {len(found['times'])}" if found["error"] else figures(found["times"])


def table(runs):
    rows = enumeration.read()
    limits = enumeration.limits(rows)
    yield "| call | what it waits for | in | the object afterwards | " + " | ".join(run["version"] for run in runs) + " |"
    yield "|---|---|---|---|" + "---|" * len(runs)
    for row in rows.values():
        found = [run["rows"].get(" | ".join(row.key)) for run in runs]
        done = [one for one in found if one and one["times"]]
        calls = list(dict.fromkeys(name for one in done for name in one["in"]))
        cells = [cell(row, limits.get(row.key), short(run["version"]), one) for run, one in zip(runs, found, strict=True)]
        yield f"| `{row.call}` | {row.what} | {', '.join(calls)} | {done[0]['state'] if done else ''} | {' | '.join(cells)} |"


def cells_of(lines):
    """{(call, what it waits for): the other cells} of a table's lines below its head."""
    split = [line.strip("| ").split(" | ") for line in lines]
    return {(one[0].strip("`"), one[1]): one[2:] for one in split}


def median(cell):
    """The median of a cell; 0 if the call was not interrupted."""
    return int(cell.split(",")[0]) if cell[0].isdigit() else 0


def summary(head, rows, counts):
    """The number of calls of each kind, for each interpreter of the table's head, counted from the table's cells."""
    yield "| CPython | calls | interrupted | limits | interrupts of each | median of the medians | medians above 200 |"
    yield "|---|---|---|---|---|---|---|"
    versions = head.strip("| ").split(" | ")[4:]
    for number, version in enumerate(versions):
        cells = [one[2 + number] for one in rows.values() if one[2 + number] != "not there"]
        medians = sorted(filter(None, map(median, cells)))
        bad = [one for one in cells if not median(one) and one != "limit"]
        if bad:
            raise ValueError(f"{version} has rows that were not measured: {bad}")
        figures = [len(cells), len(medians), cells.count("limit"), counts[number]]
        figures += [medians[len(medians) // 2], sum(one > SLOW for one in medians)]
        yield f"| {version} | " + " | ".join(map(str, figures)) + " |"


UNKNOWN = "not known: little above 200 us, so it may be the machine's load, which is above"


def slow(rows):
    """The rows whose median is above 200 us with an interpreter, by their reason in slow.txt. Up to 400 us need no
    reason."""
    reasons, found = enumeration.slow(), {}
    for (call, what), cells in rows.items():
        if max(map(median, cells[2:])) > SLOW:
            why = next((why for pattern, why in reasons.items() if re.fullmatch(pattern, f"{call} | {what}")), None)
            if why is None and max(map(median, cells[2:])) <= 2 * SLOW:
                why = UNKNOWN
            if why is None:
                raise ValueError(f"slow.txt has no reason for {call} | {what}: {cells[2:]}")
            found.setdefault(why, []).append(f"`{call}` ({what})")
    yield "| calls | why |"
    yield "|---|---|"
    for why, calls in found.items():
        yield f"| {', '.join(calls)} | {why} |"


def list_of_limits():
    rows = enumeration.read()
    yield "| call | what it waits for | why | source | CPython |"
    yield "|---|---|---|---|---|"
    for (call, what), limit in enumeration.limits(rows).items():
        versions = "all" if limit.versions == rows[call, what].versions else ", ".join(limit.versions)
        if limit.before:
            versions += f", before {'.'.join(map(str, limit.before))}"
        if limit.before:
            versions = f"before {'.'.join(map(str, limit.before))}"
        yield f"| `{call}` | {what} | {limit.why} | `{limit.source}` | {versions} |"


# ---- the document ---------------------------------------------------------------------------------------------------------------


def part(text, name):
    """The lines of a generated part of the document."""
    return re.search(f"<!-- {name}: begin -->\n(.*?)\n?<!-- {name}: end -->", text, re.S).group(1).split("\n")


def with_part(text, name, lines):
    pattern = re.compile(f"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.S)
    return pattern.sub(lambda found: "\n".join([found.group(1).strip(), *lines, found.group(2)]), text)


def digest(text):
    """A digest of the measured parts, which must not be edited by hand."""
    return hashlib.sha256("\n".join(part(text, "machine") + part(text, "table")).encode()).hexdigest()


def follow(text, counts):
    """The document, with the parts that are generated from its table and the lists."""
    head, _, *lines = part(text, "table")
    rows = cells_of(lines)
    text = with_part(text, "summary", summary(head, rows, counts))
    text = with_part(text, "slow", slow(rows))
    text = with_part(text, "limits", list_of_limits())
    return with_part(text, "digest", [f"<!-- {digest(text)} -->"])


def write(*files):
    runs = [json.loads(Path(file).read_text()) for file in files]
    text = with_part(DOCUMENT.read_text(), "table", table(runs))
    machines = [f"- {run['version']}: {'; '.join(run['machine'])}" for run in runs]
    text = with_part(text, "machine", [line for item in machines for line in textwrap.wrap(item, 120, subsequent_indent="  ")])
    DOCUMENT.write_text(follow(text, [3 * run["count"] for run in runs]))


if __name__ == "__main__":
    {"measure": measure, "more": more, "write": write}[sys.argv[1]](*sys.argv[2:])
