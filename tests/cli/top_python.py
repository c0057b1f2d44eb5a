# SPDX-License-Identifier: MIT
"""top_python.py BOUGH PRELOAD: `bough top` of a Python program that is not written for bough."""
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from hanging import Hanging  # noqa: E402

try:
    from terminal import Terminal
except ImportError as missing:
    print(f"1..0 # SKIP {missing}: it is Debian's python3-pyte")
    sys.exit()

bough, preload = sys.argv[1:]
if sys.byteorder != "little" or not (3, 11) <= sys.version_info < (3, 16):
    print("1..0 # SKIP the command does not know this interpreter's stacks")
    sys.exit()

PROGRAM = """\
import collections, itertools, os, sys, threading

def reads(pipe):
    return os.read(pipe[0], 1)

def works():
    return list(map(lambda pipe: reads(pipe), [os.pipe()]))

def holds():
    collections.deque(itertools.repeat(0), maxlen=0)

threading.Thread(target=works, daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
holds()
"""
READS, HOLDS = 4, 10
folder = tempfile.TemporaryDirectory(prefix="bough-top-")
path = Path(folder.name) / "program.py"
path.write_text(PROGRAM)


class Program(Hanging):
    def __init__(self):
        super().__init__([sys.executable, path], {"LD_PRELOAD": str(Path(preload).resolve())}, stdin=subprocess.PIPE, stderr=None)

    def top(self, **size):
        return Terminal([bough, "top", "--interval", "0.1", self.pid], **size)

    def holds(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


def leave(terminal):
    terminal.type("q")
    status, errors = terminal.end()
    if status or errors:
        yield f"status {status}: {errors}"


def rows():
    """the row of a Python thread has its call, its function, file and line; the filter finds functions"""
    with Program() as program, program.top(columns=150) as t:
        t.wait(f"read, reads at program.py:{READS}")
        t.type("fREADS\r")
        t.wait("filter: READS", absent="bough-ticker")
        if f"read, reads at program.py:{READS}" not in t.text:
            yield t.text
        yield from leave(t)


def holder():
    """the thread that holds the GIL is marked, while C code runs"""
    with Program() as program, program.top(columns=180) as t:
        t.wait("reads at", absent="holds the GIL")
        program.holds()
        t.wait(["running", f"holds at program.py:{HOLDS}, holds the GIL"])
        yield from leave(t)


def pane():
    """the pane has C and Python frames in their order; of a stopped process, the Python stack"""
    with Program() as program, program.top(columns=150, lines=200) as t:
        t.wait("reads at")
        t.type("/reads\r\r")
        text = t.wait(["DETAILS", f"reads at {path}:{READS}", "works at"])
        file = re.escape(str(path))
        frames = rf"  stack, .*\n(    \S.*\n)+      reads at {file}:{READS}\n +<lambda> at {file}:7\n(    \S.*\n)+      works at {file}:7\n"
        if not re.search(frames, text.replace("  works.<locals>.", "  ")):
            yield text
        program.process.send_signal(signal.SIGSTOP)
        t.wait("THE PROCESS IS STOPPED")
        t.type("\r")
        t.wait(["Python stack", f"reads at {path}:{READS}", "works at"])
        yield from leave(t)


checks.run([rows, holder, pane])
