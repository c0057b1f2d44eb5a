# SPDX-License-Identifier: MIT
"""commands.py BOUGH HUNG: the command's output for a program that hangs, and for other processes."""
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from hanging import Hanging, nodes  # noqa: E402

bough, hung = sys.argv[1:]
CLI = Path(__file__).resolve().parents[2] / "cli"


def run(*arguments):
    return subprocess.run([bough, *arguments], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)


class Program(Hanging):
    """A program that hangs. It is also stopped, unless it has to answer."""

    def __init__(self, *arguments, stopped=True, **environment):
        super().__init__([hung, *arguments], environment)
        self.stopped = stopped

    def __enter__(self):
        super().__enter__()
        if self.stopped:
            os.kill(self.process.pid, signal.SIGSTOP)
        return self.pid


def text():
    """tree shows a stopped program"""
    with Program() as pid:
        out = run("tree", pid)
        for want in ("4 threads, 3 branches, 1 incident", "reader", "stubborn", "disabled", "hung.c:", "deadline in",
                     "critical region", "budget 16 min 40 s", '! stop "say', "2 times", "in\\x1b[1m", "1 child"):
            if want not in out.stdout:
                yield f"no {want!r} in {out.stdout}"
        if "\033" in out.stdout or out.returncode != 0:
            yield f"status {out.returncode}, or control characters in a pipe"


def waiting():
    """tree shows the branch whose children a thread waits for"""
    with Program(stopped=False) as pid:
        end = time.monotonic() + 10
        while "reader  " in (out := run("tree", pid).stdout) and "waits for the children of further" not in out:
            if time.monotonic() > end:
                yield out
                return
        if "further" not in out:
            yield out


def as_json():
    """tree --json is JSON with the same contents"""
    with Program() as pid:
        tree = json.loads(run("tree", "--json", pid).stdout)
        all_nodes = {n["name"]: n for n in nodes(tree["tree"]) if n.get("known", True)}
        if sorted(all_nodes) != ["", "further", "in\033[1m", "main", "outer", "reader", "root", "stubborn"]:
            yield f"{sorted(all_nodes)}"
        record = all_nodes["stubborn"]["records"][0]
        if (record["kind"], record["reason"], record["count"]) != ("stop", 'say "please"\n', 2):
            yield f"{record}"
        if not all_nodes["outer"]["file"].endswith("hung.c") or not 900 < all_nodes["outer"]["deadline_left"] < 1000:
            yield f"{all_nodes['outer']}"
        if all_nodes["stubborn"]["regions"][0]["kind"] != "critical":
            yield f"{all_nodes['stubborn']}"


def odd():
    """tree shows a place that lies on two pages, a thread whose name has a line break, names truncated between characters"""
    with Program("odd", stopped=False, BOUGH_GRACE="1000") as pid:
        run("interrupt", "--reason", "x" + "ä" * 60, pid, "stubborn")
        tree = json.loads(run("tree", "--json", pid).stdout)
        odd = next((n for n in nodes(tree["tree"]) if n["name"] == "ä" * 15), None)
        if not odd or (odd["file"], odd["line"]) != ("on two pages.c", 73):
            yield f"{odd or tree}"
        if not all(n["state"] for n in nodes(tree["tree"]) if n["type"] == "thread"):
            yield f"{tree}"
        if [r["reason"] for r in stubborn_record(pid)] != ["x" + "ä" * 47]:
            yield f"{stubborn_record(pid)}"
        out = run("tree", pid).stdout
        if "on two pages.c:73" not in out or "gone" in out:
            yield out


def strangers():
    """tree shows threads that bough does not know, with the kernel's name and state, and counts them separately"""
    with Program("stranger", stopped=False) as pid:
        end = time.monotonic() + 30  # until the thread has its name
        while not (found := [n for n in nodes(json.loads(run("tree", "--json", pid).stdout)["tree"]) if n["name"] == "stranger"]):
            assert time.monotonic() < end
        if found[0]["known"] or found[0]["state"] != "S" or "pause" not in (found[0]["call"] or ""):
            yield f"{found}"
        out = run("tree", pid).stdout
        if f"stranger  {found[0]['tid']}, not known to bough" not in out or "4 threads" not in out:
            yield out
        if not re.search(r"bough-ticker  \d+, the library's", out):
            yield out
        known = [n for n in nodes(json.loads(run("tree", "--json", pid).stdout)["tree"]) if n.get("known")]
        if len(known) != 4:
            yield f"{known}"


def workers(pid):
    """The workers in the JSON output, and the lines of the tree that show them."""
    tree = json.loads(run("tree", "--json", pid).stdout)["tree"]
    return ([n["tid"] for n in nodes(tree) if n["name"] == "bough-worker" and not n["known"]],
            re.findall("(bough-worker  .*)", run("tree", pid).stdout), re.findall("bough-worker  ", run("tree", "--all", pid).stdout))


def idle():
    """tree has one line for the workers that wait for work, --all and --json have each; a thread with a worker's name
    is shown"""
    for _ in range(20):  # workers wait only for some seconds
        with Program("idle", stopped=False) as pid:
            end = time.monotonic() + 5
            while len((found := workers(pid))[1]) != 2 and time.monotonic() < end:
                pass
        if len(found[1]) == 2:
            break
    one, line = sorted(found[1], key=lambda line: "idle" in line)
    if not re.search(r"^bough-worker  \d+, the library's, in .*pause", one) or len(found[0]) != len(found[2]):
        yield f"{found}"
    if not (count := re.search(r"^bough-worker  (\d+) of them, the library's, idle", line)) or int(count[1]) != len(found[0]) - 1:
        yield f"{found}"


def wait_for_zombie(pid):
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.01)


def zombies():
    """tree reports a zombie as a zombie; a process without its main thread is shown like any other"""
    with subprocess.Popen(["true"]) as process:
        wait_for_zombie(process.pid)
        out = run("tree", str(process.pid))
        if out.returncode != 1 or "it is a zombie" not in out.stderr:
            yield f"{out}"
    with Program("headless", stopped=False) as pid:
        wait_for_zombie(pid)
        for status, want, arguments in ((0, "hung.c:", ["tree", pid]), (0, "stubborn", ["dump", pid]),
                                        (0, "handled", ["interrupt", "--wait", "10", pid, "reader"])):
            out = run(*arguments)
            if out.returncode != status or want not in out.stdout or out.stderr:
                yield f"{out}"
        if pid not in run("ps").stdout:
            yield "ps does not list it"


def ps():
    """ps lists it"""
    with Program() as pid:
        row = [r for r in json.loads(run("ps", "--json").stdout) if r["pid"] == int(pid)]
        if len(row) != 1 or (row[0]["threads"], row[0]["branches"], row[0]["incidents"]) != (4, 3, 1):
            yield f"{row}"
        if pid not in run("ps").stdout:
            yield "not in the text"


def failures():
    """mistakes are reported, with the exit status that the manual gives"""
    for status, want, *arguments in ((1, "no process", "tree", "999999999"), (1, "", "tree", str(os.getpid())),
                                     (1, "is not an arena of bough", "tree", "--file", "/dev/null"), (2, "usage", "tree"),
                                     (2, "not a process id", "tree", "x"), (2, "unknown command", "nonsense"), (2, "usage")):
        out = run(*arguments)
        if out.returncode != status or want not in out.stderr or out.stdout:
            yield f"{arguments}: {out}"
    for arguments in (["help"], ["help", "tree"], ["tree", "--help"], ["--version"]):
        if run(*arguments).returncode != 0:
            yield f"{arguments}"


def usage():
    """each command is in the general help, has a help text, and shows its usage after wrong arguments"""
    names = re.findall(r"^  (\w+) ", run("help").stdout, re.M)
    table = re.findall(r'\{"(\w+)", \w+_main\}', (CLI / "commands.c").read_text())
    if sorted(names) != sorted([*table, "help"]):
        yield f"{names} in the general help, {table} in cli/commands.c"
    for name in table:
        out = run(name, "--help")
        if "has no ncurses" in out.stderr:
            continue
        if out.returncode or not out.stdout.startswith(f"usage: bough {name} "):
            yield f"{name} --help: {out}"
        out = run(name, "--nonsense")
        if out.returncode != 2 or f"usage: bough {name} " not in out.stderr or out.stdout:
            yield f"{name} --nonsense: {out}"


def interrupt():
    """interrupt interrupts a thread, a branch or all threads, and reports the outcome"""
    with Program(stopped=False, BOUGH_GRACE="3") as pid:
        for status, want, *arguments in ((0, "handled", "--wait", "10", "--reason", "make way", pid, "reader"),
                                         (1, "no thread or branch", pid, "reader"),
                                         (3, "the process continues", "--wait", "0.2", "--rung", "2", pid, "stubborn"),
                                         (2, "--rung must be 1 to 6", "--rung", "7", pid, "all"),
                                         (2, "--ceiling must be 1 to 6", "--ceiling", "0", pid, "all"),
                                         (2, "above the ceiling, which is 3", "--rung", "4", pid, "stubborn"),
                                         (2, "above the ceiling, which is 2", "--rung", "3", "--ceiling", "2", pid, "all"),
                                         (2, "add --yes", pid, "all"),
                                         (2, "add --yes", "--ceiling", "4", pid, "stubborn"),
                                         (2, "not a time", "--wait", "x", pid, "all"),
                                         (5, "can be ended", "--yes", "--wait", "20", pid, "all")):
            out = run("interrupt", *arguments)
            if out.returncode != status or want not in out.stdout + out.stderr:
                yield f"{arguments}: {out}"


def stubborn_record(pid):
    tree = json.loads(run("tree", "--json", pid).stdout)
    return [r for n in nodes(tree["tree"]) if n["name"] == "stubborn" for r in n["records"] if r["kind"] == "operator"]


def interrupt_one():
    """interrupt of one thread does not end the process, unless --ceiling allows that"""
    with Program(stopped=False, BOUGH_GRACE="3") as pid:
        run("interrupt", pid, "stubborn")
        if [r["ceiling"] for r in stubborn_record(pid)] != [3]:
            yield f"{stubborn_record(pid)}"
        out = run("interrupt", "--yes", "--ceiling", "6", "--wait", "60", pid, "stubborn")
        if out.returncode != 5 or "can be ended" not in out.stdout:
            yield f"{out}"


def interrupt_misnamed():
    """a program whose name looks like the kernel's line about a debugger is ended nevertheless"""
    with Program("traced", stopped=False, BOUGH_GRACE="2") as pid:
        out = run("interrupt", "--yes", "--wait", "25", pid, "all")
        if out.returncode != 5:
            yield f"{out}"


def interrupt_again():
    """interrupt reports that an earlier request has a higher ceiling, and asks for confirmation"""
    with Program(stopped=False, BOUGH_GRACE="1000") as pid:
        run("interrupt", "--yes", "--ceiling", "6", pid, "stubborn")
        out = run("interrupt", pid, "stubborn")
        if out.returncode != 2 or "an earlier request stands" not in out.stdout or "--yes" not in out.stderr:
            yield f"{out}"


def interrupt_asks():
    """interrupt asks for confirmation on a terminal before rung 4 and above"""
    for answer, status, count in ((b"n\n", 1, 0), (b"\n", 1, 0), (b"y\n", 0, 1)):
        with Program(stopped=False, BOUGH_GRACE="1000") as pid:
            ours, theirs = os.openpty()
            with subprocess.Popen([bough, "interrupt", "--ceiling", "5", pid, "stubborn"], stdin=theirs,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asker:
                os.write(ours, answer)
                out, error = asker.communicate(timeout=30)
            os.close(ours), os.close(theirs)
            if asker.returncode != status or b"Go on? [y/N]" not in error or len(stubborn_record(pid)) != count:
                yield f"{answer}: {asker.returncode} {out} {error} {stubborn_record(pid)}"


def interrupt_by_id():
    """interrupt takes a thread's id, and passes the reason on"""
    with Program(stopped=False) as pid:
        tree = json.loads(run("tree", "--json", pid).stdout)
        tid = next(n["tid"] for n in nodes(tree["tree"]) if n["name"] == "stubborn")
        if run("interrupt", "--reason", "by its id", pid, str(tid)).returncode != 0:
            yield "it was not posted"
        if 'operator "by its id" from process' not in run("tree", pid).stdout:
            yield run("tree", pid).stdout


def interrupt_hung():
    """interrupt reports that a stopped process does not answer"""
    with Program() as pid:
        out = run("interrupt", pid, "reader")
        if out.returncode != 1 or f"does not answer: it is stopped, and `kill -CONT {pid}` continues it; `bough tree" not in out.stderr:
            yield f"{out}"


def dump():
    """dump shows the tree and the stacks; for a stopped process only the parts that are visible from outside"""
    with Program(stopped=False) as pid:
        out = run("dump", pid)
        for want in ("stubborn", "hung.c:", "asked for from outside", "stack", "bough-ticker"):
            if want not in out.stdout:
                yield f"no {want!r} in {out.stdout}"
        if out.returncode != 0 or "\033" in out.stdout:
            yield f"status {out.returncode}, or control characters"
    with Program() as pid:
        out = run("dump", pid)
        if "stubborn" not in out.stdout or "from outside" not in out.stderr or out.returncode != 0:
            yield f"{out}"
        for want in (f"it is stopped, and `kill -CONT {pid}` continues it", "without the stacks of C code", f"`gdb -p {pid} -batch"):
            if want not in out.stderr:
                yield f"no {want!r} in {out.stderr}"


def dump_json():
    """dump --json has the tree, and each thread's stack; of a stopped process the tree, and the reason"""
    with Program(stopped=False) as pid:
        end = time.monotonic() + 60
        while True:  # a thread that is running at that moment has no stack
            out = json.loads(run("dump", "--json", pid).stdout)
            tree = {n["name"]: n for n in nodes(out["process"]["tree"])}
            threads = {t["tid"]: t for t in out["threads"]}
            if all(len(t["stack"]) > 1 for t in threads.values()) or time.monotonic() > end:
                break
        if out["problem"] or "pause()" not in threads[tree["stubborn"]["tid"]]["at"]:
            yield f"{out}"
        if len(threads) < 5 or not all(len(threads[tree[name]["tid"]]["stack"]) > 1 for name in ("stubborn", "reader", "main")):
            yield f"{threads}"
        if len(out["text"]) < 20 or not out["text"][0].startswith("==== bough"):
            yield f"{out['text']}"
    with Program() as pid:
        run_out = run("dump", "--json", pid)
        out = json.loads(run_out.stdout)
        if "does not answer" not in out["problem"] or "gdb -p" not in out["problem"] or "text" in out or out["process"]["threads"] != 4 or run_out.stderr:
            yield f"{run_out}"


# ---- hostile processes ---------------------------------------------------------------------------------------

# The code that each hostile process runs before it prints "ready".
UNSEALED = """
import os
fd = os.memfd_create("bough")
os.ftruncate(fd, 1 << 20)
os.pwrite(fd, b"bough arena", 0)
"""
NAMED = """
import mmap, os, tempfile
folder = tempfile.mkdtemp()
path = folder + "/x[anon:bough hidden: \\x1b[31mred"
with open(path, "w+b") as f:
    f.truncate(4096)
    kept = mmap.mmap(f.fileno(), 4096)
os.unlink(path), os.rmdir(folder)
"""
# A pipe with the arena's name, on a file system that is no longer mounted.
BOUND = """
import ctypes, os, sys, tempfile
libc = ctypes.CDLL(None, use_errno=True)
folder = tempfile.mkdtemp()
if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 1 << 14 | 1 << 18, None) or \\
        libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, None):
    print("skip", flush=True)
    sys.exit()
path = folder + "/memfd:bough (deleted)"
os.mkfifo(path)
fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
libc.inotify_add_watch(watch := libc.inotify_init(), path.encode(), 0x20)
libc.umount2(folder.encode(), 2)
os.rmdir(folder)
"""
TELL = """
import select
print("ready", flush=True)
sys.stdin.read()
print("opened" if select.select([watch], [], [], 0)[0] else "left alone", flush=True)
"""
WAIT = """
import sys
print("ready", flush=True)
sys.stdin.read()
"""


class Foe:
    def __init__(self, code):
        self.code = code

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", self.code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.said = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *unused):
        self.process.communicate()

    def end(self):
        return self.process.communicate()[0]


def closed():
    """the output of a command without standard descriptors goes into no file of the process"""
    with Program(stopped=False) as pid:
        for fd, status in ((0, 0), (1, 1), (2, 0)):
            out = subprocess.run([bough, "dump", pid], capture_output=True, text=True, timeout=30,
                                 preexec_fn=lambda fd=fd: os.close(fd))
            if out.returncode != status or (status and "cannot write the output" not in out.stderr):
                yield f"without descriptor {fd}: status {out.returncode}: {out.stderr}"


def files_of(pid, name):
    """The process's files of that name."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(link) == f"/memfd:{name} (deleted)":
            yield link


def locked():
    """a lock on the files of a process does not prevent requests"""
    with Program(stopped=False) as pid:
        held = [open(link, "r+b", buffering=0) for name in ("bough", "bough-mail") for link in files_of(pid, name)]
        if len(held) != 2:
            yield f"{len(held)} files"
        for file in held:
            fcntl.lockf(file, fcntl.LOCK_EX)
            fcntl.flock(file, fcntl.LOCK_EX)
        for arguments in (("interrupt", "--wait", "10", pid, "reader"), ("dump", pid), ("tree", pid)):
            out = run(*arguments)
            if out.returncode != 0 or out.stderr:
                yield f"{arguments}: {out}"
        for file in held:
            file.close()


def unsealed():
    """a file with only the arena's name is not read as an arena, and is not opened if it is a device or a pipe"""
    with Foe(UNSEALED + WAIT) as foe:
        out = run("tree", str(foe.process.pid))
        if out.returncode != 1 or "does not use bough" not in out.stderr:
            yield f"{out}"
    with Foe(BOUND + TELL) as foe:
        if foe.said == "skip":
            return
        names = [os.readlink(link) for link in Path(f"/proc/{foe.process.pid}/fd").iterdir()]
        if "/memfd:bough (deleted)" not in names:
            yield f"{names}"
        for arguments in (("tree", str(foe.process.pid)), ("ps",)):
            run(*arguments)
        if (said := foe.end()) != "left alone\n":
            yield f"{said}"


def escapes():
    """a mapped file's name does not control the terminal, and does not make its process appear hidden"""
    with Foe(NAMED + WAIT) as foe:
        for out in (run("tree", str(foe.process.pid)), run("ps"), run("ps", "--json")):
            if "\033" in out.stdout + out.stderr or "hidden" in out.stderr or "red" in out.stdout + out.stderr:
                yield f"{out}"
    with Program(stopped=False, BOUGH_HIDDEN="1") as pid:
        out = run("tree", pid)
        maps = Path(f"/proc/{pid}/maps").read_text()
        # A static program shows no sign of bough on a kernel that keeps no names for anonymous memory.
        sign = "[anon:bough hidden: " in maps or "/libbough.so" in maps
        if out.returncode != 1 or ("hides its tree" if sign else "or hides it") not in out.stderr or \
                "BOUGH_HIDDEN" not in out.stderr:
            yield f"{out}"
    out = run("tree", "1\n\033[31m\u202e")
    if out.returncode != 2 or "'1\\x0a\\x1b[31m\\xe2\\x80\\xae' is " not in out.stderr:
        yield f"{out}"


checks.run([text, waiting, as_json, odd, strangers, idle, zombies, ps,
            failures, usage, interrupt, interrupt_one, interrupt_misnamed, interrupt_again, interrupt_asks, interrupt_by_id, interrupt_hung, dump, dump_json,
            locked, unsealed, escapes, closed])
