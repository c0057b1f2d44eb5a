# SPDX-License-Identifier: MIT
"""symbols.py BOUGH NAMELESS NAMED SOURCE: names in stacks, of a live process and of a saved dump. NAMELESS is the command
without libdw, NAMED the program that hangs at a known line of SOURCE."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from hanging import Hanging  # noqa: E402

bough, nameless, named = map(os.path.abspath, sys.argv[1:4])
lines = Path(sys.argv[4]).read_text().splitlines()
LINE = 1 + next(i for i, line in enumerate(lines) if "/* the known line */" in line)
WANT = rf"in place::wait\(int\) at [^ ]*named\.c:{LINE}$"
CAUGHT = r"in place::wait\(int\) at [^ ]*named\.c:"  # a signal of the library may have woken it
LIMIT = 60 * float(os.environ.get("T_SCALE", "1"))
os.environ["LD_LIBRARY_PATH"] = f"{Path(bough).parent.parent}/src"  # for copies of the program
place = tempfile.TemporaryDirectory()
here = Path(place.name)


def run(*arguments, command=bough, **options):
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT,
                          stdin=subprocess.DEVNULL, **options)
    assert "\033" not in done.stdout + done.stderr, done
    return done


def tool(*arguments):
    subprocess.run([*map(str, arguments)], check=True, timeout=LIMIT)


class Program(Hanging):
    """The program, or a copy of it, hangs, with all threads asleep, because a thread that runs has no stack in a
    dump."""

    def __init__(self, path=named, before=(), **environment):
        super().__init__([*before, str(path)], environment)

    def __enter__(self):
        return super().__enter__().pid


def copied(name, *arguments):
    """A copy of the program, stripped with these arguments."""
    shutil.copy(named, here / name)
    if arguments:
        tool("strip", *arguments, here / name)
    return here / name


def separated(name, folder):
    """A stripped copy, and its debug file in a folder, by its build id."""
    path = copied(name)
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    build_id = re.search("Build ID: ([0-9a-f]+)", notes)[1]
    debug = here / folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    debug.parent.mkdir(parents=True)
    tool("objcopy", "--only-keep-debug", path, debug)
    tool("strip", path)
    return path


def names(out, want=WANT):
    return re.search(want, out.stdout, re.M)


def saved(pid, name):
    (here / name).write_text(run("dump", pid, command=nameless).stdout)
    return here / name


def live():
    """dump names the function, the file and the line at which a thread is blocked"""
    with Program() as pid:
        out = run("dump", pid)
        if not names(out) or not names(out, "in may_be_renamed at ") or "no names for" in out.stderr or out.returncode:
            yield f"{out}"
        found = json.loads(run("dump", "--json", pid).stdout)
        frames = [(f, n) for t in found["threads"] for f, n in zip(t["stack"], t["names"], strict=True)]
        if not any(f.startswith("cli-named+0x") and n["function"] == "place::wait(int)" and n["line"] == LINE for f, n in frames):
            yield f"{frames}"


def stripped():
    """a program without symbols shows addresses; a debug file with its build id has the names"""
    path = separated("stripped", "debug")
    with Program(path) as pid:
        out, found = run("dump", pid), run("dump", "--debug", here / "debug", pid)
        if names(out) or names(out, "in may_be_renamed") or not names(out, r"stripped\+0x\S*$") or not names(out, r"libc\.so.*\+0x\S* in "):
            yield f"{out}"
        if not names(found) or not names(found, "in may_be_renamed at "):
            yield f"{found}"
        dump = saved(pid, "stripped.dump")
    path.unlink()  # another machine
    if not names(found := run("resolve", "--debug", here / "debug", dump)):
        yield f"{found}"


def killed():
    """resolve names the functions in the dump of a process that was killed"""
    path, dump = copied("killed"), here / "killed.dump"
    program = Program(path, BOUGH_GRACE="60", BOUGH_DUMP=str(dump))
    with program as pid:
        asked = run("interrupt", "--yes", "--rung", 6, pid, "all")
        if program.process.wait(LIMIT) not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            yield f"{asked}"
    if not names(out := run("resolve", dump), CAUGHT) or out.returncode or "because: " not in out.stdout:
        yield f"{out}"
    dump.write_text("a log line\n" + 2 * dump.read_text() + "another\n")
    out = run("resolve", dump)
    if len(re.findall(CAUGHT, out.stdout, re.M)) < 2 or "a log line" not in out.stdout or "another\n" not in out.stdout:
        yield f"{out}"


def replaced():
    """a file that was replaced is refused, and this is reported"""
    path = copied("replaced")
    with Program(path) as pid:
        dump = saved(pid, "replaced.dump")
        path.unlink()
        gone = run("dump", pid)
        shutil.copy(bough, path)
        for out in (run("dump", pid), run("resolve", dump)):
            if "replaced" not in out.stderr or "has another build id" not in out.stderr or names(out, r"replaced.*\+0x\S* in "):
                yield f"{out}"
        if "can't be opened" not in gone.stderr or names(gone, r"replaced.*\+0x\S* in "):
            yield f"{gone}"


def namespace():
    """a program in another mount namespace is read there"""
    inside = here / "inside"
    inside.mkdir()
    script = f"mount -t tmpfs none {inside} && cp {named} {inside}/apart && exec {inside}/apart"
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", inside], capture_output=True).returncode:
        raise checks.Skip("no mount namespace can be made here")
    with Program(script, before=("unshare", "-m", "sh", "-c")) as pid:
        if not names(out := run("dump", pid)) or (inside / "apart").exists():
            yield f"{out}"


def escaped():
    """a name in a file can't move the cursor"""
    path = here / "escaped"
    path.write_bytes(Path(named).read_bytes().replace(b"may_be_renamed\0", b"\033[31mforged!\r\n\0"))
    path.chmod(0o755)
    with Program(path) as pid:
        if r"in \x1b[31mforged!\x0d\x0a" not in (out := run("dump", pid)).stdout:
            yield f"{out}"


def damaged():
    """a damaged file, or one that is no program, costs only names"""
    path, dice = copied("damaged"), random.Random(7)
    with Program(path) as pid:
        dump = saved(pid, "damaged.dump")
    whole = path.read_bytes()
    start = whole.index(b"GNU\0", 0x100) + 24  # after the build id
    for _ in range(12):
        bytes_now = bytearray(whole)
        for _ in range(dice.choice((1, 20, 2000))):
            bytes_now[dice.randrange(start, len(whole))] = dice.randrange(256)
        path.write_bytes(bytes_now[:dice.choice((len(whole), len(whole), dice.randrange(len(whole))))])
        out = run("resolve", dump)
        if out.returncode or "==== end ====" not in out.stdout or not names(out, r"libc\.so.*\+0x\S* in "):
            yield f"{out}"
    path.write_text("not an ELF file")
    if "libdw can't read its file" not in (out := run("resolve", dump)).stderr:
        yield f"{out}"
    path.unlink()
    os.mkfifo(path)
    if "can't be opened" not in (out := run("resolve", dump)).stderr:
        yield f"{out}"


def mistakes():
    """resolve refuses a file that is no dump, with a message"""
    os.mkfifo(here / "pipe")
    (here / "empty").touch()
    for status, want, *arguments in ((2, "usage: bough resolve", ), (1, "is not a regular file", here / "pipe"),
                                     (1, "No such file", here / "nothing"), (1, "contains no dump", here / "empty"),
                                     (1, "is not a regular file", "/dev/zero")):
        out = run("resolve", *arguments)
        if out.returncode != status or want not in out.stderr or out.stdout:
            yield f"{arguments}: {out}"


def unstarted():
    """if the process that reads files can't be started, addresses are shown, with a line that reports this"""
    with Program() as pid:
        dump = saved(pid, "unstarted.dump")
    if subprocess.run([*checks.WITHOUT_PROCESSES, "true"], stderr=subprocess.DEVNULL).returncode:
        raise checks.Skip("the limit can't be set here")
    out = run(*checks.WITHOUT_PROCESSES[1:], bough, "resolve", dump, command=checks.WITHOUT_PROCESSES[0])
    if out.returncode or not names(out, r"cli-named\+0x[0-9a-f]+$") or not re.search("no names for .*can't be started", out.stderr):
        yield f"{out}"


def without():
    """without libdw addresses are shown, with a line that names what is missing"""
    with Program() as pid:
        out = run("dump", pid, command=nameless)
        if out.returncode or not names(out, r"cli-named\+0x[0-9a-f]+$") or out.stderr.count("libdw") != 1:
            yield f"{out}"
        if "libdw" not in json.loads(run("dump", "--json", pid, command=nameless).stdout)["notes"][0]:
            yield "nothing in the JSON output"


checks.run([live, stripped, killed, replaced, namespace, escaped, damaged, mistakes, unstarted, without])
