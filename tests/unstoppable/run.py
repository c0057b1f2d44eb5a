# SPDX-License-Identifier: MIT
"""run.py TABLE WAYS STUCK [NAME...]: runs each row of the table as a process, and watches it from outside. Prints TAP,
and then a table.

A way only reports its steps; this script measures when and how it ends. T_SCALE lengthens all times, including the
grace."""
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

TABLE, WAYS, STUCK = sys.argv[1:4]
ONLY = sys.argv[4:]
SCALE = float(os.environ.get("T_SCALE", "1"))
SLACK = 0.10
AT_ONCE, BUSY_AT_ONCE = 8, 2
RUNGS = ("flag", "handler", "final", "close", "exit", "kill", "cap")
GRACE = 30  # the default
HANGS = 6  # the seconds after its time for which a way may run before it counts as hanging
AGAIN = 3  # the factor for the times of a second run of a failed row, so that a slow machine matters less


# ---- the table ---------------------------------------------------------------------------------------------------


@dataclass
class Row:
    way: str
    posted: str
    grace: str
    rung: str
    not_before: str
    within: str
    ends_by: str
    with_: str
    artefacts: str

    @property
    def kind(self):
        return self.posted.split("+")[0].strip()

    def further(self, scale):
        return [float(at) * scale for at in self.posted.split("+")[1:]]

    @property
    def name(self):
        grace = "" if self.grace == "3" else f", grace {self.grace}"
        return f"{self.way}, {self.posted}{grace}"


def read_table():
    for line in Path(TABLE).read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split("|", 8)]
            yield Row(*cells, *[""] * (9 - len(cells)))


def seconds(text, times, scale):
    """The value of a sum of rungs and numbers, in the table's notation."""
    expression = re.sub(r"[a-z]+", lambda m: f"times['{m[0]}']", text)
    expression = re.sub(r"(?<![\w.\['])(\d+(?:\.\d+)?)", rf"(\1*{scale})" if "*" not in text and "/" not in text else r"\1", expression)
    return eval(expression, {"times": times})  # safe: the table is a file of the project


# ---- one run --------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    row: Row
    scale: float = SCALE
    times: dict = None
    began: float = 0
    ended: float = 0
    status: int = 0
    pid: int = 0
    skipped: str = ""
    hangs: bool = False
    text: dict = field(default_factory=lambda: {"log": "", "dump": "", "note": "", "step": "", "supervisor": ""})
    due: list = field(default_factory=list)  # further signals
    faults: list = field(default_factory=list)

    def __post_init__(self):
        self.times = dict.fromkeys(RUNGS, GRACE * self.scale)

    @property
    def took(self):
        return self.ended - self.began if self.began else 0

    @property
    def latest(self):
        limit = seconds(self.row.within, self.times, self.scale)
        return limit * (1 + SLACK)

    @property
    def rung(self):
        reached = [int(step.split()[2]) for step in self.text["step"].splitlines()]
        reached += [int(rung) for rung in re.findall(r"goes up to rung (\d)", self.text["log"])]
        if "not handled" in self.text["dump"]:
            reached.append(6)
        return max(reached, default=1)

    def send(self):
        os.kill(self.pid, signal.SIGTERM)

    def hear(self, line):
        what, _, rest = line.partition(" ")
        if what == "times":
            self.times = dict(zip(RUNGS, map(float, rest.split())))
        elif what == "pid":
            self.pid = int(rest)
        elif what == "ready":
            self.began = time.monotonic()
            self.due = [self.began + at for at in self.row.further(self.scale)]
            self.send()
        elif what == "posted":
            self.began = float(rest)
        elif what == "skip":
            self.skipped = rest
        elif what in ("note", "step"):
            self.text[what] += rest + "\n"


def environment(run, folder):
    env = dict(os.environ, BOUGH_DUMP=f"{folder}/dump", NOTIFY_SOCKET=f"{folder}/supervisor", PROOF_STUCK=STUCK,
               T_SCALE=str(run.scale))
    env.pop("BOUGH_GRACE", None)
    if run.row.grace != "default":
        env["BOUGH_GRACE"] = str(float(run.row.grace) * run.scale)
    elif run.scale != 1:
        env["BOUGH_GRACE"] = str(GRACE * run.scale)
    return env


def start(run, log, folder):
    """Starts the process. Returns it, and this end of the pipe on which it reports."""
    ours, theirs = os.pipe()
    env = dict(environment(run, folder), PROOF_WATCHER=str(theirs))
    process = subprocess.Popen([WAYS, run.row.way, run.row.kind], env=env, pass_fds=[theirs], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, start_new_session=True)
    os.close(theirs)
    run.pid = process.pid
    return process, ours


def lines_of(fd, rest):
    data = os.read(fd, 65536)
    *lines, rest[0] = (rest[0] + data.decode(errors="replace")).split("\n")
    return data, lines


def watch(run, process, pipe):
    """Waits until the process has ended and no process holds the pipe any more."""
    end = os.pidfd_open(process.pid)
    poll, rest, pipe_open = select.poll(), [""], True
    poll.register(pipe, select.POLLIN)
    poll.register(end, select.POLLIN)
    started = time.monotonic()
    while not run.ended or (pipe_open and time.monotonic() < run.ended + HANGS * run.scale and "fork" in run.row.way):
        now = time.monotonic()
        if now > (run.began + run.latest if run.began else started + 20 * run.scale) + HANGS * run.scale:
            run.hangs = True
            break
        if run.due and now >= run.due[0] and not run.ended:
            run.due.pop(0)
            run.send()
        wait = min([0.5] + [max(at - now, 0) for at in run.due[:1]])
        for fd, _ in poll.poll(wait * 1000 + 1):
            if fd == end:
                run.ended = time.monotonic()
                poll.unregister(end)
                continue
            data, lines = lines_of(pipe, rest)
            for line in lines:
                run.hear(line)
            if not data:
                pipe_open = False
                poll.unregister(pipe)
    while pipe_open and select.select([pipe], [], [], 0)[0]:
        data, lines = lines_of(pipe, rest)
        pipe_open = bool(data)
        for line in lines:
            run.hear(line)
    os.close(end)


def clear_away(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def supervise(folder):
    """Acts as the service manager of sd_notify(3)."""
    supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    supervisor.bind(f"{folder}/supervisor")
    return supervisor


def messages(supervisor):
    while True:
        try:
            yield supervisor.recv(4096).decode() + "\n"
        except BlockingIOError:
            return


def carry_out(run):
    with tempfile.TemporaryDirectory() as folder, supervise(folder) as supervisor:
        log, dump = Path(folder, "log"), Path(folder, "dump")
        with open(log, "wb") as output:
            process, pipe = start(run, output, folder)
        watch(run, process, pipe)
        if run.ended:
            run.status = process.wait()
        clear_away(process)
        os.close(pipe)
        run.text["supervisor"] = "".join(messages(supervisor))
        run.text["log"] = log.read_text(errors="replace")
        run.text["dump"] = dump.read_text(errors="replace") if dump.exists() else ""


# ---- judging ----------------------------------------------------------------------------------------------------------


def ending(status):
    return signal.Signals(-status).name if status < 0 else str(status)


def judge(run):
    row, faults = run.row, run.faults
    if run.hangs:
        faults.append("it hangs")
        return
    if not run.began:
        faults.append("it was never ready")
        return
    if ending(run.status) not in row.ends_by.split():
        faults.append(f"ended by {ending(run.status)}, not {row.ends_by}")
    rungs = row.rung.split()
    by_timer = "cap" in rungs and run.took >= run.times["cap"] - 0.01
    if "any" not in rungs and str(run.rung) not in rungs and not by_timer:
        faults.append(f"reached rung {run.rung}, not {row.rung}")
    # A millisecond of tolerance, because the clocks are read one after the other.
    if run.took < seconds(row.not_before, run.times, run.scale) - 0.001:
        faults.append(f"ended after {run.took:.3f} s, sooner than {row.not_before}")
    if run.took > run.latest:
        faults.append(f"ended after {run.took:.3f} s, later than {run.latest:.2f} s")
    for artefact in filter(None, row.artefacts.split(" ; ")):
        where, _, wanted = artefact.partition(":")
        if not re.search(wanted, run.text[where]):
            faults.append(f"no /{wanted}/ in the {where}")


# ---- all of them --------------------------------------------------------------------------------------------------------

busy = threading.Semaphore(BUSY_AT_ONCE)


def conduct_once(run):
    row = run.row
    try:
        if row.with_ == "busy":
            with busy:
                carry_out(run)
        else:
            carry_out(run)
    except Exception as error:  # an error of one row does not end the others
        run.faults.append(f"the watcher: {error!r}")
        return run
    if not run.skipped:
        judge(run)
    return run


def conduct(row):
    run = conduct_once(Run(row))
    if not run.faults:
        return run
    again = conduct_once(Run(row, scale=AGAIN * SCALE))
    print(f"# {row.name}: with {AGAIN} times the time {'again ' * bool(again.faults)}after: {'; '.join(run.faults)}", flush=True)
    return run if again.faults else again


def long_first(row):
    return -float(row.grace) if row.grace != "default" else -GRACE


def conduct_all(rows):
    together = sorted((row for row in rows if row.with_ != "alone"), key=long_first)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = {id(run.row): run for run in pool.map(conduct, together)}
    for row in rows:
        if row.with_ == "alone":
            done[id(row)] = conduct(row)
    return [done[id(row)] for row in rows]


def print_tap(number, run):
    print(f"{'not ' if run.faults else ''}ok {number} - {run.row.name}{' # SKIP ' + run.skipped if run.skipped else ''}")
    for fault in run.faults:
        print("#  ", fault)
    if run.faults:
        for where, text in run.text.items():
            for line in text.splitlines()[-12:]:
                print(f"#   {where}: {line}")


def print_summary(runs):
    """The rows that ran, those that did not, and those that were held beyond their cap, as expected."""
    ran = [run for run in runs if not run.skipped]
    print(f"# {len(ran)} of {len(runs)} rows ran, {sum(run.row.with_ == 'held' for run in ran)} of them held by the kernel")
    for run in runs:
        if run.skipped:
            print(f"# skipped: {run.row.name}: {run.skipped}")
        elif run.row.with_ == "held":
            print(f"# held for {run.took - run.times['cap']:.1f} s after its cap: {run.row.name}")


def print_table(runs):
    print(f"# {'way':<62} {'rung':<5}{'expected':<9} {'s':>7}  {'expected':<15} ended by")
    for run in runs:
        if run.skipped or not run.times:
            continue
        earliest = seconds(run.row.not_before, run.times, run.scale)
        span = f"{earliest:.2f} to {run.latest:.2f}"
        print(f"# {run.row.name:<62} {run.rung:<5}{run.row.rung:<9} {run.took:7.3f}  {span:<15} {ending(run.status)}")


def main():
    rows = [row for row in read_table() if not ONLY or row.way in ONLY]
    print(f"1..{len(rows)}", flush=True)
    runs = conduct_all(rows)
    for number, run in enumerate(runs, 1):
        print_tap(number, run)
    print_table(runs)
    print_summary(runs)
    return any(run.faults for run in runs)


if __name__ == "__main__":
    sys.exit(main())
