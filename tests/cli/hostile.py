# SPDX-License-Identifier: MIT
"""hostile.py BOUGH HUNG HOSTILE PLAIN [--seconds N | --runs N] [--seed N]: runs the command on hostile processes.

Their arenas are damaged, circular, completely full, or change while they are read (hostile.c). So is the arena of a
real process (hung.c), which is also killed during runs. BOUGH is built with sanitizers, where available. In each run it
must make no memory error, end by itself and in time, and write no byte that controls a terminal, and only valid JSON.

In some runs a resource is scarce: descriptors, processes, memory, the stack, room for the output. If a sanitizer would
need too much of it, PLAIN runs, the command as it is installed.

Each run has a number, which is the seed of its random choices: `--seed NUMBER --runs 1` repeats it."""
import argparse
import contextlib
import json
import os
import random
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

SCALE = float(os.environ.get("T_SCALE", "1"))
LIMIT = 120 * SCALE  # a full arena takes some seconds of processor time
STATUSES = range(6)
LOADER = 127
FULL_EVERY = 250  # the arena is full in one of so many runs, and in the third, so that a short series has one
MODES = ("damaged",) * 4 + ("linked",) * 3 + ("changing",) * 4 + ("real",) * 3
COLOURS = re.compile(r"\033\[(0|1|31|32|36)m")
# Control characters, marks of direction and of lines, invisible characters.
CONTROLS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
SCARCE = ("descriptors", "allocation", "memory", "stack", "room", "closed", "processes")
PLAINLY = ("memory", "stack", "processes")  # resources of which a sanitizer needs too much
# A sanitizer's message when it lets an allocation fail. The confined child does not know its process id.
NO_MEMORY = re.compile(rb"^==-?\d+==WARNING: AddressSanitizer failed to allocate .*\n", re.M)
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=1:allocator_may_return_null=1",
              "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99:print_stacktrace=1"}


# ---- the processes ----------------------------------------------------------------------------------------


def start(*arguments):
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.set_blocking(process.stdin.fileno(), False)
    return process


def end(process):
    process.kill()
    process.communicate()


def wait_for_ready(process):
    """Waits until the process is ready. Returns False if it has ended instead."""
    if not select.select([process.stdout], [], [], LIMIT)[0]:
        raise TimeoutError("the process to look at is not ready")
    return process.stdout.readline() == b"ready\n"


def arena_of(pid):
    return next(link for link in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(link) == "/memfd:bough (deleted)")


def copy_of_an_arena(hung, folder):
    """Copies the arena of a real process."""
    path = Path(folder, "arena")
    process = start(hung)
    wait_for_ready(process)
    with open(arena_of(process.pid), "rb") as arena, open(path, "wb") as copy:
        at, size = 0, os.fstat(arena.fileno()).st_size
        copy.truncate(size)
        while at < size:  # most of it is a hole
            try:
                at = os.lseek(arena.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            stop = os.lseek(arena.fileno(), at, os.SEEK_HOLE)
            os.pwrite(copy.fileno(), os.pread(arena.fileno(), stop - at, at), at)
            at = stop
    end(process)
    return path


class Targets:
    """The hostile process and the real one. Each is started when it is needed, and again after it has ended."""

    def __init__(self, hung, hostile, arena):
        self.commands = {"real": (hung, "busy"), "hostile": (hostile, str(arena))}
        self.running = {}

    def get(self, name):
        process = self.running.get(name)
        if process is None or process.poll() is not None:
            self.drop(name)
            self.running[name] = process = start(*self.commands[name])
            if name == "real" and not wait_for_ready(process):
                raise RuntimeError("hung does not start")
        return process

    def drop(self, name):
        if name in self.running:
            end(self.running.pop(name))

    def bring_about(self, mode, number):
        """Starts the process for this mode, and sets its arena up. Returns the process's id."""
        if mode == "real":
            return self.get("real").pid
        process = self.get("hostile")
        os.write(process.stdin.fileno(), f"{mode} {number}\n".encode())
        if not wait_for_ready(process):
            raise RuntimeError("hostile does not start")
        return process.pid

    def was_signalled(self):
        """Whether the command has ended the hostile process, by a signal that the arena may have named."""
        process = self.running.get("hostile")
        if process is None or process.poll() is not None:
            return process is not None
        return Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for name in list(self.running):
            self.drop(name)


# ---- one run ---------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    number: int
    mode: str
    arguments: list
    utf8: bool
    terminal: bool
    dies_after: float  # in s; None: it does not end
    scarce: str = None  # the resource of which there is only `amount`
    amount: int = 0

    def __str__(self):
        scarce = f", {self.scarce} {self.amount}" if self.scarce else ""
        return f"run {self.number}, {self.mode}{scarce}: bough {' '.join(map(str, self.arguments))}"


def arguments_for(chance, pid, real):
    target = chance.choice(["all", "main", "reader", "stubborn", "name", "passing", str(pid), str(pid + 1), "\033[31m", ""])
    interrupt = ["interrupt", "--yes", "--wait", "0.02", *chance.choice([[], ["--ceiling", "5"], ["--rung", "2"]])]
    if real:
        interrupt += ["--ceiling", "2"]  # so that the real process continues
    return chance.choice([["tree", pid], ["tree", pid], ["tree", "--json", pid], ["tree", "--json", pid], ["dump", pid],
                          ["dump", "--json", pid], [*interrupt, pid, target], ["ps"], ["ps", "--json"],
                          ["tree", "--file", "ARENA"], ["tree", "--json", "--file", "ARENA"]])


def amount_of(scarce, chance):
    """The amount of the scarce resource: descriptors; MiB of one allocation or of address space; KiB of stack; a
    descriptor."""
    return {"descriptors": chance.randrange(4, 20), "allocation": chance.choice([1, 2, 8, 64]), "room": 0, "processes": 0,
            "memory": chance.randrange(5, 60), "stack": chance.choice([96, 128, 256]), "closed": chance.randrange(3)}[scarce]


def plan(number, targets):
    chance = random.Random(number)
    full = number % FULL_EVERY == 2
    mode = "full" if full else chance.choice(MODES)
    pid = targets.bring_about(mode, number)
    arguments = arguments_for(chance, pid, mode == "real")
    if arguments[-1] == "ARENA":
        arguments[-1] = arena_of(pid)
    dies = chance.random() * 0.05 if mode in ("real", "changing") and chance.random() < 0.1 else None
    run = Run(number, mode, arguments, chance.random() < 0.7, chance.random() < 0.3, dies)
    if not full and chance.random() < 0.25:
        run.scarce = chance.choice(SCARCE)
        run.amount = amount_of(run.scarce, chance)
        run.terminal = False
    return run, pid


def environment(run):
    env = {**os.environ, **SANITIZERS, "LC_ALL": "C.UTF-8" if run.utf8 else "C", "TERM": "xterm"}
    if run.scarce == "allocation":
        env["ASAN_OPTIONS"] += f":max_allocation_size_mb={run.amount}"
    return env


def make_scarce(run):
    """Sets the limits, in the new process. exec ends a program that is too large for them."""
    limits = {"descriptors": (resource.RLIMIT_NOFILE, run.amount), "memory": (resource.RLIMIT_AS, run.amount << 20),
              "stack": (resource.RLIMIT_STACK, run.amount << 10)}
    if run.scarce in limits:
        what, most = limits[run.scarce]
        resource.setrlimit(what, (most, most))
    elif run.scarce == "closed":
        os.close(run.amount)
    elif run.scarce == "room":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def read_terminal(fd):
    data = bytearray()  # a full arena's tree has tens of megabytes, in pieces of 4 KiB
    with contextlib.suppress(OSError):  # EIO: no process has the other end open any more
        while select.select([fd], [], [], LIMIT)[0] and (piece := os.read(fd, 1 << 16)):
            data += piece
    os.close(fd)
    return bytes(data.replace(b"\r\n", b"\n"))


def execute(bough, run, pid):
    """Runs the command. Returns its status, output and errors."""
    begin = (lambda: make_scarce(run)) if run.scarce else None
    ours, theirs = os.openpty() if run.terminal else (None, subprocess.PIPE)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            before = checks.WITHOUT_PROCESSES if run.scarce == "processes" else []
            process = subprocess.Popen([*before, bough, *map(str, run.arguments)], stdin=subprocess.DEVNULL, stderr=errors,
                                       stdout=theirs if run.terminal else output, env=environment(run), preexec_fn=begin)
        except OSError:  # no room for the program
            return LOADER, b"", b""
        if run.dies_after is not None:
            time.sleep(run.dies_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        text = b""
        if run.terminal:
            os.close(theirs)
            text = read_terminal(ours)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None, b"", b""
        output.seek(0), errors.seek(0)
        return process.returncode, text or output.read(), errors.read()


def faults_of_text(what, data, run):
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        yield f"its {what} is no UTF-8: {data[max(error.start - 40, 0):error.end + 40]}"
        return
    text = COLOURS.sub("", text) if run.terminal else text
    if not run.utf8 and "--json" not in run.arguments and not text.isascii():
        yield f"its {what} is not ASCII"
    if found := CONTROLS.search(text):
        yield f"a control character in its {what}: {text[max(found.start() - 40, 0):found.end() + 40]!r}"


def could_not_begin(run, status, errors):
    """Whether the loader had too little memory for the libraries."""
    return run.scarce in ("descriptors", "memory", "stack", "processes") and status == LOADER and (
        not errors or b"error while loading shared libraries" in errors)


def faults(run, status, output, errors):
    if status is None:
        yield "it hangs"
        return
    if could_not_begin(run, status, errors):
        return
    errors = NO_MEMORY.sub(b"", errors)
    if status not in STATUSES or b"Sanitizer" in errors or b"runtime error" in errors:
        yield f"status {status}: {errors.decode(errors='replace')[:3000]}"
        return
    yield from faults_of_text("output", output, run)
    yield from faults_of_text("errors", errors, run)
    if "--json" in run.arguments and status == 0:
        try:
            json.loads(output)
        except ValueError as error:
            yield f"no JSON: {error}"
    if run.scarce == "room" and status == 0:
        yield "it has lost its output, and does not say so"
    elif status == 0 and not output and not (run.scarce == "closed" and run.amount == 1):
        yield "no output"


# ---- all of them -----------------------------------------------------------------------------------------------------


def numbers(options):
    until = time.monotonic() + options.seconds if options.seconds else None
    number = options.seed
    while time.monotonic() < until if until else number < options.seed + options.runs:
        yield number
        number += 1


def main():
    parser = argparse.ArgumentParser()
    for name in ("bough", "hung", "hostile", "plain"):
        parser.add_argument(name)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("T_SEED") or random.randrange(10**6) * FULL_EVERY))
    options = parser.parse_args()
    print("1..1", flush=True)
    print(f"# seed {options.seed}", flush=True)
    count, shown, scarce, longest, bad = 0, 0, 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        with Targets(options.hung, options.hostile, copy_of_an_arena(options.hung, folder)) as targets:
            for number in numbers(options):
                run, pid = plan(number, targets)
                began = time.monotonic()
                command = options.plain if run.scarce in PLAINLY else options.bough
                status, output, errors = execute(command, run, pid)
                longest = max(longest, time.monotonic() - began)
                count, shown, scarce = count + 1, shown + (status == 0), scarce + (run.scarce is not None)
                found = list(faults(run, status, output, errors))
                if run.dies_after is None and targets.was_signalled():
                    found.append("it has sent the process a signal that stops or ends it")
                if found or run.dies_after is not None:
                    targets.drop("real" if run.mode == "real" else "hostile")
                for fault in found:
                    bad += 1
                    print(f"# {run}".encode("unicode_escape").decode())
                    print("#  ", fault.replace("\n", "\n#   "), flush=True)
                if run.mode == "full" or run.arguments[0] == "interrupt" or status is None:
                    targets.drop("real" if run.mode == "real" else "hostile")
    print(f"# {count} runs, {shown} of them with status 0, {scarce} with little of something; the longest took {longest:.1f} s")
    print(f"{'not ' if bad or not shown else ''}ok 1 - the command shows or refuses what processes that mean harm have")
    return 1 if bad or not shown else 0


if __name__ == "__main__":
    raise SystemExit(main())
