# SPDX-License-Identifier: MIT
"""top.py BOUGH HUNG SANITIZED HOSTILE [symbols]: `bough top` on a real pseudo-terminal."""
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
import hostile as foes  # noqa: E402
from hanging import Hanging, nodes  # noqa: E402

try:
    from terminal import LIMIT, Terminal
except ImportError as missing:
    print(f"1..0 # SKIP {missing}: it is Debian's python3-pyte")
    sys.exit()

bough, hung, sanitized, hostile, *symbols = sys.argv[1:]
SCALE = float(os.environ.get("T_SCALE", "1"))
COLOUR = re.compile(rb"\033\[[0-9;]*3[0-7][0-9;]*m")
# The control sequences, and characters that move the cursor, that ncurses sends to this terminal.
SEQUENCES = re.compile("\033\\[[0-9;?]*[A-Za-z]|\033[()][A-Z0-9]|\033[=>78M]|[\r\n\b\x0e\x0f]")


class Hung(Hanging):
    def __init__(self, *arguments, **environment):
        super().__init__([hung, *arguments], environment)


def top(program, *options, **how):
    return Terminal([bough, "top", *options, program.pid], **how)


def operators(program):
    """The requests of operators in the process."""
    tree = json.loads(subprocess.run([bough, "tree", "--json", program.pid], capture_output=True, check=True).stdout)
    return [(n["name"], r["reason"], r["ceiling"]) for n in nodes(tree["tree"]) for r in n.get("records", ()) if r["kind"] == "operator"]


def leave(terminal, status=0):
    """Leaves the program by the key, and yields faults."""
    terminal.type("q")
    ended, errors = terminal.end()
    if ended != status or (errors and not status):
        yield f"status {ended}: {errors}"


# ---- PID namespaces ---------------------------------------------------------------------------------------------------


NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def namespaces():
    """a process in a PID namespace is shown from outside with its ids here, from inside with its ids there"""
    process = subprocess.Popen([*NAMESPACE, "--mount-proc", hung], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise checks.Skip(process.communicate()[1].strip())
        pid = children(process.pid)[0]
        inside = ["nsenter", "--target", pid, "--pid", "--mount"]
        for before, seen, title in ([], pid, rf"process {pid} \(1 in its PID namespace\)"), (inside, "1", "process 1 "):
            with Terminal([*before, os.path.abspath(bough), "top", seen], columns=120) as t:
                t.wait(["4 threads", "stubborn"])
                if not re.match(title, t.text) or not re.search(rf"main +{seen} ", t.text):
                    yield t.text
                yield from leave(t)
    finally:
        process.kill()
        process.communicate()


def another_proc():
    """where /proc is another namespace's, the end of a process that has the same id in this namespace does not count"""
    with tempfile.TemporaryDirectory() as folder, Hung() as program:
        fifo = f"{folder}/fifo"
        os.mkfifo(fifo)
        script = f"""echo {int(program.pid) - 1} >/proc/sys/kernel/ns_last_pid && {{ cat '{fifo}' & }} &&
            [ $! = {program.pid} ] && exec '{bough}' top {program.pid}"""
        with Terminal([*NAMESPACE, "sh", "-c", script], columns=120) as t:
            try:
                t.wait("4 threads")
            except AssertionError:
                raise checks.Skip(f"no namespace with a process of this id: {t.end()[1]}") from None
            (same,) = children(children(t.process.pid)[0])
            ended = os.pidfd_open(int(same))
            open(fifo, "w").close()
            select.select([ended], [], [])
            os.close(ended)
            t.type("s")
            t.wait("order: name")
            yield from leave(t)


# ---- what is shown -----------------------------------------------------------------------------------------------------


def screen():
    """the screen has the tree: names, ids, times, rungs, levels, calls and places; a hostile name stays text"""
    with Hung() as program, top(program, columns=120) as t:
        text = t.wait(["4 threads, 3 branches, 1 incident", "order: tree, 9 rows", "bough-ticker"])
        row = t.screen.display[t.line_with("stubborn")]
        if not re.search(r"stubborn +\d+ +>?\d+\.\ds +1/3 +stop +disabled pause in critical hung\.c:\d+", row):
            yield row
        for want in ("- root", "NAME", "in\\x1b[1m", "outer", "deadline in 16m", "hung.c:", "waits for further"):
            if want not in text:
                yield f"no {want!r} in {text}"
        if b"in\033[1m" in t.raw:
            yield "the name has reached the terminal"
        yield from leave(t)


def is_selected(t, name, is_first):
    """Whether the row is selected, and the first one."""
    if name not in t.text:
        return False
    line = t.line_with(name)
    return t.screen.buffer[line][3].reverse and (not is_first or line == t.line_with("NAME") + 1)


def orders():
    """s and S change the order, and the selected row stays selected"""
    with Hung() as program, top(program) as t:
        t.wait("order: tree")
        t.type("/stubborn\r")
        for key, order in (("s", "name"), ("s", "time in call"), ("s", "state"), ("s", "overdue"), ("s", "tree"), ("S", "overdue")):
            t.type(key)
            t.wait(f"order: {order},")
            t.wait(lambda text, first=order == "overdue": is_selected(t, "stubborn", first))  # the title is drawn before the rows
        yield from leave(t)


def filters():
    """f shows rows with a text, and the branches around them; an empty text shows all; Esc leaves the prompt"""
    with Hung() as program, top(program) as t:
        t.wait("reader")
        t.type("fstub\177\177UB\r")
        t.wait(lambda text: all(shown in text for shown in ("filter: stUB", "stubborn", "outer"))
               and not any(hidden in text for hidden in ("reader", "bough-ticker")))  # the title is drawn before the rows
        t.type("f\025\r")
        t.wait("reader", absent="filter:")
        t.type("f\033")
        t.wait("q leave")
        yield from leave(t)


def folds():
    """space folds the branch of the row, z all branches; a search wraps around"""
    with Hung() as program, top(program) as t:
        t.wait("reader")
        t.type("/stubborn\r ")
        t.wait("+ outer (5)", absent="reader")
        t.type(" ")
        t.wait("reader")
        t.type("z")
        t.wait("+ outer (5)", absent="stubborn")
        t.type("z")
        t.wait("stubborn")
        t.type("g/nothing like that\r")
        t.wait("no row contains this text")
        t.type("!")
        t.wait(lambda text: t.screen.buffer[t.line_with("stubborn")][3].reverse)
        yield from leave(t)


def details():
    """Enter shows a thread's details as in the tree, and its stack"""
    with Hung() as program, top(program, lines=40) as t:
        t.wait("stubborn")
        t.type("/stubborn\r\r")
        t.wait(["DETAILS", '! stop "say', "critical region at", "budget 16 min", "pause()", "stack", "cli-hung+0x"])
        while "took too long" in t.text:  # the names, on a busy machine
            t.type("\r")
            t.read(LIMIT)  # until then the screen has the last answer
            t.wait("stack")
        if symbols:
            t.wait("in is_critical at ")
        t.type("\033")
        t.wait("stubborn", absent="DETAILS")
        t.type("?")
        t.wait(["KEYS", "promote its incident", "processor time"])
        yield from leave(t)


def pauses():
    """P stops reading, and continues; r reads once"""
    with Hung() as program, top(program, "--interval", "0.1") as t:
        t.wait(["reader", "every 0.1 s"])
        t.type("P")
        t.wait("PAUSED")
        subprocess.run([bough, "interrupt", "--wait", "30", program.pid, "reader"], check=True, stdout=subprocess.DEVNULL)
        t.type("G")
        t.wait(lambda text: t.screen.buffer[t.line_with("bough-ticker")][3].reverse)
        if "reader" not in t.text:
            yield f"it was read: {t.text}"
        t.type("r")
        t.wait("PAUSED", absent="reader")
        t.type("P")
        t.wait("every", absent="PAUSED")
        yield from leave(t)


# ---- requests ----------------------------------------------------------------------------------------------------------


def interrupts():
    """i interrupts the thread with a reason, and e shows the incident until its end"""
    with Hung(BOUGH_GRACE="1000") as program, top(program, "--interval", "0.1", columns=120) as t:
        t.wait("reader")
        t.type("e/reader\ri")
        t.wait("interrupt thread reader, reason: asked by an operator")
        t.type("\025make way\r")
        t.wait(['ended     ', 'operator "make way", thread reader'], absent="reader   ")
        t.type("/stubborn\ri\025stay\033i\025go\r")
        t.wait(["posted", 'operator "go", thread stubborn'])
        if operators(program) != [("stubborn", "go", 3)]:
            yield f"{operators(program)}"
        t.type("/ticker\ri")
        t.wait("bough does not know this thread")
        yield from leave(t)


def asks():
    """p asks for the rung, and asks again before rung 4 and above; only y posts"""
    with Hung(BOUGH_GRACE="1000") as program, top(program) as t:
        t.wait("stubborn")
        t.type("p")
        t.wait("there is no incident here")
        t.type("!p")
        t.wait("promote to rung (1 to 6): 2")
        t.type("7\r")
        t.wait("must be 1 to 6")
        for answer in "n", "\r", "q":
            t.type("p5\r")
            t.wait(["can be ended", "(up to rung 5)", "Go on?"])
            t.type(answer)
            t.wait("nothing was posted")
        t.type("gi\r")  # the root: everything
        t.wait(["can be ended", "(up to rung 6)", "Go on?"])
        t.type("n")
        t.wait("nothing was posted")
        if operators(program):
            yield f"{operators(program)}"
        t.type("!p2\r")
        t.wait("posted")
        t.type("p4\r")
        t.wait(["frozen", "Go on?"])
        t.type("y")
        t.wait("posted")
        if operators(program) != [("stubborn", "asked by an operator", 4)]:
            yield f"{operators(program)}"
        yield from leave(t)


def refuses_to_ask():
    """a question that the terminal is too small for is not asked, and nothing is posted"""
    with Hung(BOUGH_GRACE="1000") as program, top(program, lines=5, columns=20) as t:
        t.wait("NAME")
        t.type("i\r")
        t.wait("too small to ask")
        if operators(program):
            yield f"{operators(program)}"
        yield from leave(t)


# ---- the terminal --------------------------------------------------------------------------------------------------


def sizes():
    """it follows the terminal's size, and reports if the terminal is too small"""
    with Hung() as program, top(program, lines=5, columns=20) as t:
        t.wait(["NAME", "- root"])
        for lines, columns, want in ((4, 80, "too small: 80x4, needs 20x5"), (24, 19, "too small: 19x24"), (1, 1, "t"),
                                     (60, 200, "bough-ticker"), (24, 80, "bough-ticker"), (8, 34, "order: tree"), (5, 20, "- root")):
            t.resize(lines, columns)
            t.wait(want, absent=None if "small" in want or want == "t" else "too small")
            for keys in ("?", "e", "\r", "\033"):
                t.type(keys)
        yield from leave(t)


def colours():
    """a terminal without colours, and NO_COLOR, get none"""
    with Hung() as program:
        for environment, wanted in (({}, True), ({"TERM": "vt100"}, False), ({"NO_COLOR": "1"}, False)):
            with top(program, **environment) as t:
                t.wait("bough-ticker")
                if bool(COLOUR.search(t.raw)) != wanted:
                    yield f"{environment}: {bytes(t.raw)}"
                yield from leave(t)


def ascii_only():
    """a locale without UTF-8 gets ASCII"""
    with Hung("odd") as program, top(program, LC_ALL="C") as t:
        t.wait("\\xc3\\xa4\\xc3")
        if not t.raw.isascii():
            yield f"{bytes(t.raw)}"
        yield from leave(t)


def terminal_is_gone():
    """it ends if its terminal is closed"""
    with Hung() as program, top(program) as t:
        t.wait("stubborn")
        os.close(t.ours)
        try:
            t.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            yield "it does not end"
        t.ours = os.open("/dev/null", os.O_RDONLY)


# ---- the process ---------------------------------------------------------------------------------------------------


def ends():
    """the last view stays, with the reason, when the process ends; any key leaves with status 5"""
    for number, want in ((signal.SIGKILL, "was ended by signal 9 (Killed)"), (signal.SIGTERM, "was ended by signal 15")):
        with Hung() as program, top(program, "--interval", "3600") as t:
            t.wait("stubborn")
            program.process.send_signal(number)
            t.wait([want, "any key leaves", "stubborn", "reader"])
            if number == signal.SIGTERM:
                program.process.wait()
            t.type("x")
            status, errors = t.end()
            if status != 5 or want not in errors:
                yield f"{status} {errors}"


def is_replaced():
    """the last view stays when the process executes another program"""
    with Hung("replaced") as program, top(program, "--interval", "0.1") as t:
        t.wait("stubborn")
        program.process.send_signal(signal.SIGUSR1)
        t.wait(["has executed another program: any key leaves", "stubborn"])
        yield from leave(t, 5)


def stopped():
    """a stopped process is shown as stopped, and is shown running after it continues"""
    with Hung() as program, top(program, "--interval", "0.1") as t:
        t.wait("stubborn")
        program.process.send_signal(signal.SIGSTOP)
        t.wait(["THE PROCESS IS STOPPED", "disabled stopped"])
        program.process.send_signal(signal.SIGCONT)
        t.wait("stubborn", absent="STOPPED")
        yield from leave(t)


def control_bytes(raw):
    """The control bytes in the output that ncurses has not sent."""
    left = SEQUENCES.sub("", raw.decode())
    return sorted({c for c in left if foes.CONTROLS.match(c)})


def hostile_processes():
    """no damaged, circular or changing arena crashes it, and no control byte reaches the terminal"""
    with tempfile.TemporaryDirectory() as folder, foes.Targets(hung, hostile, foes.copy_of_an_arena(hung, folder)) as targets:
        for number in range(4):
            mode = ("damaged", "linked", "changing", "real")[number % 4]
            pid = targets.bring_about(mode, 2000 + number)
            sanitizers = {**foes.SANITIZERS, "ASAN_OPTIONS": foes.SANITIZERS["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")}
            with Terminal([sanitized, "top", "--interval", "0.1", str(pid)], columns=140, lines=50, **sanitizers) as t:
                t.wait(lambda text: "NAME" in text or "bough:" in text or t.process.poll() is not None)
                if t.process.poll() is None:
                    details = [("\r", "DETAILS")] if mode == "real" else []  # others don't answer, which takes 3 s
                    for keys, want in [("sssssGea", "LAST INCIDENTS"), *details, ("zf.\r", "filter: .")]:
                        t.type(keys)
                        t.wait(lambda text: want in text or t.process.poll() is not None)
                    t.type("q")
                status, errors = t.end()
                if status not in (0, 1, 5) or "Sanitizer" in errors or "runtime error" in errors:
                    yield f"{mode} {number}: status {status}, {errors}"
                if bad := control_bytes(t.raw):
                    yield f"{mode} {number}: {bad}"


def processor_time(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def many():
    """a frame of 10,000 threads takes less than 100 ms of processor time, and all of them a fifth of one processor"""
    with Hung("many") as program, top(program, "--interval", "0.1", lines=50, columns=120) as t:
        t.wait(["10001 threads", "one of many"])
        times, used, began = [], processor_time(t.process.pid), time.monotonic()
        t.type("?")
        for _ in range(3):
            seen = t.wait("The last frame took")
            t.wait(lambda text: text != seen)
            times.append(float(re.search(r"took ([0-9.]+) ms", t.text)[1]))
        share = (processor_time(t.process.pid) - used) / (time.monotonic() - began)
        print(f"# frames {times} ms of processor time, {share:.2f} of a processor")
        if min(times) > 100 * SCALE or share > 0.25:  # a tick of the kernel's count may be missing, or one key's frame too many
            yield f"frames take {times} ms, {share:.2f} of a processor"
        yield from leave(t)


def mistakes():
    """mistakes are reported, with the exit status that the manual gives"""
    with Hung() as program:
        for status, want, *arguments in ((2, "usage", ), (2, "not a process id", "x"), (2, "--interval must be 0.1", "--interval", "0", program.pid),
                                         (2, "--interval must be 0.1", "--interval", "nan", program.pid), (1, "needs a terminal", program.pid)):
            out = subprocess.run([bough, "top", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if out.returncode != status or want not in out.stderr or out.stdout:
                yield f"{arguments}: {out}"
        for environment, arguments, want in (({"TERM": "no such terminal"}, [program.pid], "set TERM"), ({}, ["999999999"], "no process")):
            with Terminal([bough, "top", *arguments], **environment) as t:
                status, errors = t.end()
                if status != 1 or want not in errors:
                    yield f"{status} {errors}"


checks.run([screen, orders, filters, folds, details, pauses, interrupts, asks, refuses_to_ask, sizes, colours, ascii_only, terminal_is_gone,
            ends, is_replaced, stopped, namespaces, another_proc, hostile_processes, many, mistakes])
