# SPDX-License-Identifier: MIT
"""namespaces.py BOUGH HUNG: the command's output for programs in PID namespaces, seen from outside, from inside and
from a namespace between."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from hanging import nodes, until_asleep  # noqa: E402

bough, hung = map(os.path.abspath, sys.argv[1:])
PROC = "--mount-proc"
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child"]


def run(*arguments, before=(), **options):
    return subprocess.run([*before, bough, *arguments], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **options)


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:  # it has just ended
        return None


def children(pid):
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and parent_of(p.name) == pid]


def ids(pid):
    """The ids of a process's threads in their namespace, by their ids here."""
    return {int(task.name): int(re.search(r"^NSpid:.*\t(\d+)$", (task / "status").read_text(), re.M)[1])
            for task in Path(f"/proc/{pid}/task").iterdir()}


class Contained:
    """hung in a PID namespace, or in `depth` nested ones; with its id here, and the ids of the processes around it."""

    def __init__(self, *arguments, depth=1, around=(PROC,), **options):
        self.command = [*[*CONTAINER, *around] * depth, hung, *arguments]
        self.depth, self.options = depth, options

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **self.options)
        if self.process.stdout.readline() != b"ready\n":
            raise checks.Skip(self.process.communicate()[1].decode().strip())
        try:
            self.around = [self.process.pid]
            for _ in range(self.depth):
                self.around += children(self.around[-1])
            until_asleep(self.around[-1])
            return self.around[-1]
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *unused):
        self.process.kill()
        self.process.communicate()


def tree(pid, **options):
    return json.loads(run("tree", "--json", str(pid), **options).stdout)


def named(pid, name, **options):
    return next(n for n in nodes(tree(pid, **options)["tree"]) if n["name"] == name)


def faults_of_ids(pid, own, **options):
    """The faults of a list that must have each thread once, with both ids and its state."""
    found = tree(pid, **options)
    threads = [n for n in nodes(found["tree"]) if n["type"] == "thread"]
    if (found["ns_pid"], found["threads"]) != (own[pid], 4):
        yield f"{found}"
    if sorted((n["tid"], n["ns_tid"]) for n in threads) != sorted(own.items()):
        yield f"{own} {[(n['tid'], n['ns_tid'], n['name']) for n in threads]}"
    if not all(n["state"] for n in threads) or not any("pause" in (n["call"] or "") for n in threads if n["known"]):
        yield f"{threads}"


def outside():
    """from outside a process is found, and its threads have their ids here, both ids in JSON"""
    with Contained() as pid:
        yield from faults_of_ids(pid, ids(pid))
        rows = [r for r in json.loads(run("ps", "--json").stdout) if r["pid"] == pid]
        if len(rows) != 1 or (rows[0]["ns_pid"], rows[0]["threads"]) != (1, 4):
            yield f"{rows}"
        if not re.search(rf"^ *{pid} .*\(1 in its PID namespace\)$", run("ps").stdout, re.M):
            yield run("ps").stdout
        out = run("tree", str(pid)).stdout
        reader = named(pid, "reader")
        for want in (f"process {pid} (1 in its PID namespace)", f"main  {pid} (1), ", f"reader  {reader['tid']} ({reader['ns_tid']}), ",
                     "hung.c:", '! stop "say', "in pause"):
            if want not in out:
                yield f"no {want!r} in {out}"
        if "gone" in out:
            yield out


def interrupts():
    """from outside a thread is interrupted by its id here or by its name, and does not get the sender's id"""
    with Contained() as pid:
        reader, stubborn = named(pid, "reader"), named(pid, "stubborn")
        out = run("interrupt", str(pid), str(stubborn["ns_tid"]))
        if out.returncode != 1 or f"is {stubborn['tid']} here" not in out.stderr:
            yield f"{out}"
        out = run("interrupt", "--wait", "30", str(pid), str(reader["tid"]))
        if out.returncode != 0 or f"thread reader ({reader['tid']}) is to stop" not in out.stdout or "handled" not in out.stdout:
            yield f"{out}"
        out = run("interrupt", str(pid), "stubborn")
        if out.returncode != 0 or "from another PID namespace" not in run("tree", str(pid)).stdout:
            yield f"{out} {run('tree', str(pid)).stdout}"
        stop, operator = named(pid, "stubborn")["records"]
        if (stop["source"], stop["ns_source"], operator["value"]) != (stubborn["tid"], stubborn["ns_tid"], 0):
            yield f"{stop} {operator}"


def dumps():
    """from outside a process writes its dump, with the ids of its namespace; the command adds the ids here"""
    with Contained() as pid:
        own = ids(pid)
        out = run("dump", str(pid))
        if out.returncode != 0 or out.stderr or "asked for from outside" not in out.stdout:
            yield f"{out}"
        listed = {int(here): int(n) for n, here in re.findall(r"(\d+) = (\d+)", out.stdout.partition("====")[0])}
        if not listed.items() >= own.items():  # the dump has one more thread, which writes it
            yield f"{own} {out.stdout}"
        out = json.loads(run("dump", "--json", str(pid)).stdout)
        found = {t["tid"]: t["ns_tid"] for t in out["threads"]}
        if out["problem"] or any(own.get(tid, n) != n for tid, n in found.items()) or not own.keys() <= found.keys():
            yield f"{own} {out}"


def inside(pid):
    return ["nsenter", "--target", str(pid), "--pid", "--mount"]


def from_inside():
    """from inside the ids are those of the process's namespace, in JSON as well"""
    with Contained() as pid:
        own = ids(pid).values()
        yield from faults_of_ids(1, {n: n for n in own}, before=inside(pid))
        rows = json.loads(run("ps", "--json", before=inside(pid)).stdout)
        if [(r["pid"], r["ns_pid"]) for r in rows] != [(1, 1)]:
            yield f"{rows}"
        if "namespace" in run("tree", "1", before=inside(pid)).stdout:
            yield run("tree", "1", before=inside(pid)).stdout
        out = run("interrupt", "1", "stubborn", before=inside(pid))
        if out.returncode != 0 or not re.search("from process [1-9][0-9]* since", run("tree", "1", before=inside(pid)).stdout):
            yield f"{out} {run('tree', '1', before=inside(pid)).stdout}"
        if not re.search("from process [1-9][0-9]* of its PID namespace", run("tree", str(pid)).stdout):
            yield run("tree", str(pid)).stdout
        out = run("interrupt", "--wait", "30", "1", "reader", before=inside(pid))
        if out.returncode != 0 or "handled" not in out.stdout:
            yield f"{out}"


def between():
    """from a namespace between, the command finds the process and its threads as well"""
    with Contained(depth=2) as pid:
        yield from faults_of_ids(pid, ids(pid))
    two = Contained(depth=2)
    with two as pid:
        between = ["nsenter", "--target", str(two.around[1]), "--pid", "unshare", "--mount-proc"]
        rows = json.loads(run("ps", "--json", before=between).stdout)
        if len(rows) != 1 or rows[0]["ns_pid"] != 1 or rows[0]["pid"] in (1, pid):
            yield f"{rows}"
        out = run("interrupt", "--wait", "30", str(rows[0]["pid"]), "reader", before=between)
        if out.returncode != 0 or "handled" not in out.stdout:
            yield f"{out}"


def other_proc():
    """if /proc belongs to another namespace, a process is shown; no signal is sent, and the reason is given"""
    with Contained() as pid:
        before = ["nsenter", "--target", str(pid), "--pid"]
        yield from faults_of_ids(pid, ids(pid), before=before)
        for command in (["interrupt", str(pid), "reader"], ["dump", str(pid)]):
            out = run(*command, before=before)
            if out.returncode != (command[0] == "interrupt") or "not those of this PID namespace" not in out.stderr:
                yield f"{out}"


def without_proc():
    """a process whose /proc is another namespace's finds its threads there: it wakes those that block signals, and names all"""
    with Contained("masked", around=(), extra_groups=range(1000, 9000) if os.geteuid() == 0 else None) as pid:
        own, end = ids(pid), time.monotonic() + 60
        while "read" not in [n["call"] for n in nodes(tree(pid)["tree"]) if n["type"] == "thread"]:
            assert time.monotonic() < end
        out = json.loads(run("dump", "--json", str(pid)).stdout)
        found = {t["tid"]: (t["ns_tid"], t["at"], t["stack"]) for t in out["threads"]}
        if not {tid: found.get(tid, (0,))[0] for tid in own} == own or "pause()" not in found[pid][1] or not found[pid][2]:
            yield f"{own} {found}"
        if not any("thread (" in line and "in read(" in line for line in out["text"]):
            yield f"{out['text']}"
        out = run("interrupt", "--wait", "60", str(pid), "reader")
        if out.returncode != 0 or "handled" not in out.stdout:
            yield f"{out}"


def in_place(pid, **options):
    """Waits until all threads of the crowd have begun to read."""
    end = time.monotonic() + 60
    while [n["call"] for n in nodes(tree(pid, **options)["tree"]) if n["type"] == "thread"].count("read") < 300:
        assert time.monotonic() < end


def faults_of_crowd(pid, own, here, **options):
    """The faults if not each of more than 300 threads has both ids, or another than the last one is interrupted."""
    in_place(here, **options)
    found = [n for n in nodes(tree(here, **options)["tree"]) if n["type"] == "thread"]
    if sorted((n["tid"], n["ns_tid"]) for n in found) != sorted(own.items()) or len(own) < 301:
        yield f"{own} {[(n['tid'], n['ns_tid'], n['name']) for n in found]}"
    dump = json.loads(run("dump", "--json", str(here), **options).stdout)
    ids_there = {t["tid"]: t["ns_tid"] for t in dump["threads"]}
    if dump["problem"] or {tid: ids_there.get(tid) for tid in own} != own:
        yield f"{own} {dump}"
    reading = [line for line in dump["text"] if re.search(r"thread (one|last) of many \(\d+\), .*: in read\(", line)]
    if len(reading) != 300:
        yield f"{len(reading)} {dump['text']}"
    out = run("interrupt", "--wait", "60", str(here), "last of many", **options)
    if out.returncode != 0 or "handled" not in out.stdout:
        yield f"{out}"
    left = [n["name"] for n in nodes(tree(here, **options)["tree"]) if n["type"] == "thread"]
    if "last of many" in left or left.count("one of many") != 299:
        yield f"{left}"


def crowd():
    """300 threads are seen, dumped and interrupted by their ids here, from outside and from inside"""
    with Contained("crowd") as pid:
        yield from faults_of_crowd(pid, ids(pid), pid)
    with Contained("crowd") as pid:
        yield from faults_of_crowd(pid, {n: n for n in ids(pid).values()}, 1, before=inside(pid))


def crowd_without_proc():
    """where its /proc is another namespace's, a process finds each of 300 threads there: it wakes the last one, which blocks signals"""
    with Contained("crowd", "masked", around=()) as pid:
        yield from faults_of_crowd(pid, ids(pid), pid)


def foes():
    """the ids shown for a process are the kernel's, even if its name is hostile or it has many groups"""
    with Contained("spoof", extra_groups=range(1000, 9000)) as pid:
        if not Path(f"/proc/{pid}/status").read_text().startswith("Name:\t\\nNSpid:"):
            yield Path(f"/proc/{pid}/status").read_text()
        yield from faults_of_ids(pid, ids(pid))


def rootless():
    """a user without privileges sees the processes of their containers, and can interrupt them"""
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    if nobody and not can_run(hung, nobody):
        raise checks.Skip(f"another user can't run {hung}")
    with Contained(around=[PROC, "--user", "--map-root-user"], **nobody) as pid:
        yield from faults_of_ids(pid, ids(pid), **nobody)
        if pid not in [r["pid"] for r in json.loads(run("ps", "--json", **nobody).stdout) if r["ns_pid"] == 1]:
            yield run("ps", **nobody).stdout
        out = run("interrupt", "--wait", "30", str(pid), "reader", **nobody)
        if out.returncode != 0 or "handled" not in out.stdout:
            yield f"{out}"


def can_run(program, user):
    try:
        return subprocess.run([program, "exists"], **user).returncode == 0
    except PermissionError:
        return False


checks.run([outside, interrupts, dumps, from_inside, between, other_proc, without_proc, crowd, crowd_without_proc, foes, rootless])
