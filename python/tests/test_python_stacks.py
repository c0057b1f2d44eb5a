# SPDX-License-Identifier: MIT
"""`bough dump`: the Python stacks, which the command reads from outside (rule 41)."""
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import unittest

from process import Process, run
from tools import until

# Threads that bough has started, and one that bough does not know, blocked at known lines. The main thread writes the
# frames that the interpreter reports, then holds the GIL in C code.
PROGRAM = """
import collections, itertools, json, os, sys, threading
import bough

leave = os.pipe()
here = []

def deep(n):
    if n:
        return deep(
            n - 1
        )
    here.append(1)
    return os.read(leave[0], 1)

def generator():
    for _ in range(2):
        yield deep(1)

class Class:
    def m\u00e9thode\u4e2d(self):
        return [
            list(generator()) for _ in range(1)
        ]

class Last(Exception):
    def __str__(self):
        return str(deep(2))

def handles():
    try:
        raise Last
    except Last as error:
        return f"{error}"

def far():
    exec(compile("\\n" * 70000 + "def f():\\n\\n\\n  deep(0)\\n", "a file\\x1b[31m\\n.py", "exec"), globals())
    f()

def called_by_c():
    return list(map(lambda i: list(map(lambda k: deep(2), [i])), [1]))

def is_blocked(thread):  # in the read: not at the lock before it
    with open(f"/proc/self/task/{thread.native_id}/syscall") as file:
        return f"{leave[0]:#x}" in file.read().split()[1:2]

def frames(frame):
    while frame:
        code = frame.f_code
        yield code.co_qualname, code.co_filename, frame.f_lineno
        frame = frame.f_back

threads = [bough.Thread(target=deep, args=(150,)), threading.Thread(target=Class().m\u00e9thode\u4e2d, daemon=True),
    bough.Thread(target=handles), threading.Thread(target=far, daemon=True), bough.Thread(target=deep, args=(500,)),
    bough.Thread(name="calls", target=called_by_c)]
for thread in threads:
    thread.start()
while len(here) < len(threads) or not all(map(is_blocked, threads)):
    os.sched_yield()
now = sys._current_frames()
print(json.dumps({thread.native_id: list(frames(now[thread.ident])) for thread in threads}), flush=True)
sys.stdin.readline()

def holds():
    collections.deque(itertools.repeat(0), maxlen=0)

holds()
"""
LAMBDA = "called_by_c.<locals>.<lambda>"
LINE_OF_HOLDER = PROGRAM[: PROGRAM.index("    collections.deque(")].count("\n") + 1

# Its innermost frames are in a file of the package's folder.
WAITS = """
import os
import bough

def calls(wait):
    wait()

bough.opt_in()
exec(compile("def inner(): os.read(os.pipe()[0], 1)\\ndef outer(): inner()", bough.__path__[0] + "/_file.py", "exec"))
print("ready", flush=True)
calls(outer)
"""


def escaped(text):
    return text.replace("\x1b", r"\x1b").replace("\n", r"\x0a")


def nodes(node):
    """The tree's nodes."""
    yield node
    for child in node["below"]:
        yield from nodes(child)


# Whether the command knows this interpreter.
RELEASED = sys.version_info < (3, 16) and sys.version_info.releaselevel in {"candidate", "final"}
KNOWN = sys.byteorder == "little" and RELEASED and not sysconfig.get_config_var("Py_GIL_DISABLED")


@unittest.skipIf(KNOWN, "the command knows this interpreter")
class Unknown(unittest.TestCase):
    def test_says_so(self):
        """the dump of an interpreter that the command does not support has the reason in place of the Python stacks"""
        with Process("-c", "import bough, time; bough.opt_in(); print('ready'); time.sleep(3600)") as process:
            process.until("ready")
            found = json.loads(run("-m", "bough", "dump", "--json", str(process.process.pid)).out)
        self.assertEqual(found["python"]["threads"], [])
        self.assertIn(f"Python {'.'.join(map(str, sys.version_info[:2]))}: this command ", found["python"]["problem"])
        self.assertIsNone(found["problem"])


@unittest.skipUnless(KNOWN, "the command does not know this interpreter")
class Stacks(unittest.TestCase):
    def begun(self):
        process = Process("-c", PROGRAM, stdin=subprocess.PIPE)
        self.enterContext(process)
        answer = json.loads(process.until(r"^\{.*\}$")[0])
        return process, {int(tid): list(map(tuple, frames)) for tid, frames in answer.items()}

    def read(self, process):
        found = json.loads(run("-m", "bough", "dump", "--json", str(process.process.pid)).out)["python"]
        self.assertIsNone(found["problem"])
        return {thread["tid"]: thread for thread in found["threads"]}

    def compare(self, found, wanted):
        for tid, frames in wanted.items():
            thread = found[tid]
            self.assertEqual([(f["function"], f["file"], f["line"]) for f in thread["frames"]], frames[:200])
            self.assertEqual(thread["cut"], len(frames) > 200)
            self.assertFalse(thread["gil"])

    def test_as_the_interpreter(self):
        """each thread has the frames that sys._current_frames() has, known to bough or not; also of a stopped process"""
        process, wanted = self.begun()
        self.compare(self.read(process), wanted)
        os.kill(process.process.pid, signal.SIGSTOP)
        text = run("-m", "bough", "dump", str(process.process.pid), env={"LC_ALL": "C.UTF-8"}).out
        self.assertIn(f"\nthe threads of Python {'.'.join(map(str, sys.version_info[:2]))}\n", text)
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f]")
        for tid, frames in wanted.items():
            lines = (f"      {function} at {escaped(file)}:{line}\n" for function, file, line in frames[:200])
            self.assertIn(f"\n  {tid}\n    Python stack:\n{''.join(lines)}", text)

    def test_holder(self):
        """while C code holds the GIL, the stacks are there, and the holder is marked"""
        process, wanted = self.begun()
        pid = process.process.pid
        until(lambda: not any(thread["gil"] for thread in self.read(process).values()), "main waits for its line")
        process.process.stdin.write(b"\n")
        process.process.stdin.flush()
        found = {}

        def holds():
            found.update(self.read(process))
            return found[pid]["gil"] and found[pid]["frames"][0]["function"] == "holds"

        until(holds, "main has the GIL")
        self.assertEqual(found[pid]["frames"][0]["line"], LINE_OF_HOLDER)
        self.compare(found, wanted)
        text = run("-m", "bough", "dump", str(pid)).out
        self.assertRegex(text, rf"\n  {pid} .*\n(    .*\n)*    Python stack, this thread holds the GIL:\n      holds at <string>:{LINE_OF_HOLDER}\n")

    def test_tree(self):
        """has the innermost line of each thread, known to bough or not, also of a stopped process, and marks the holder"""
        process, wanted = self.begun()
        pid = process.process.pid
        os.kill(pid, signal.SIGSTOP)
        text = run("-m", "bough", "tree", str(pid)).out
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f]")
        lines = {}
        for node in nodes(json.loads(run("-m", "bough", "tree", "--json", str(pid)).out)["tree"]):
            lines[node.get("tid")] = node.get("python")
        for tid, ((function, file, line), *_) in wanted.items():
            self.assertRegex(text, rf" {tid}, .*, {function} at {re.escape(escaped(file))}:{line}\n")
            self.assertEqual(lines[tid], {"function": function, "file": file, "line": line, "gil": False})
        self.assertIn(None, lines.values())  # the library's threads
        os.kill(pid, signal.SIGCONT)
        process.process.stdin.write(b"\n")
        process.process.stdin.flush()
        holder = rf" {pid}, .*, holds at <string>:{LINE_OF_HOLDER}, holds the GIL\n"
        until(lambda: re.search(holder, run("-m", "bough", "tree", str(pid)).out), "main has the GIL")

    def test_text(self):
        """a thread's Python frames come among its C frames, below the interpreter's; names are harmless for a terminal"""
        process, wanted = self.begun()
        text = run("-m", "bough", "dump", str(process.process.pid)).out
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f]")
        for tid, frames in wanted.items():
            function, _, line = frames[0]
            above = r"    stack.*\n(      \S.*\n)*      (lib)?python\S+\n(      \S.*\n)*"
            self.assertRegex(text, rf"\n  {tid} .*\n{above}        {function} at .*:{line}\n")
        self.assertIn("far", text)
        self.assertIn(r"f at a file\x1b[31m\x0a.py:70004", text)
        self.assertIn("      and more, which are not shown\n", text)

    def test_frame_by_frame(self):
        """each Python frame stands below the C frame of the interpreter that executes it"""
        process, wanted = self.begun()
        (called,) = (tid for tid, frames in wanted.items() if any(function == "called_by_c" for function, *_ in frames))
        dump = json.loads(run("-m", "bough", "dump", "--json", str(process.process.pid)).out)
        for thread in dump["threads"]:
            self.assertEqual(len(thread["python_frames"]), len(thread["stack"]))
            places = [(frame, count) for frame, count in zip(thread["stack"], thread["python_frames"]) if count]
            if thread["tid"] not in wanted:
                continue
            self.assertTrue(places)
            if thread["tid"] == called:  # three times by C code; a dump's stack may be shorter than that
                counts = [count for _, count in places]
                self.assertEqual(counts[:2], [4, 1][: len(counts)])
                self.assertEqual([f[0] for f in wanted[called][:6]], ["deep"] * 3 + [LAMBDA + ".<locals>.<lambda>", LAMBDA, "called_by_c"])

    def test_own(self):
        """a thread that waits in the package's code is shown at the program's line that called it"""
        with Process("-c", WAITS) as process:
            process.until("ready")

            def waits():
                tree = json.loads(run("-m", "bough", "tree", "--json", str(process.process.pid)).out)["tree"]
                (main,) = (n for n in nodes(tree) if n.get("tid") == process.process.pid)
                return main["python"] == {"function": "calls", "file": "<string>", "line": 6, "gil": False}

            until(waits, "main waits in the package")
            found = self.read(process)[process.process.pid]["frames"]
            self.assertEqual([frame["function"] for frame in found[:3]], ["inner", "outer", "calls"])


if __name__ == "__main__":
    unittest.main()
