# SPDX-License-Identifier: MIT
"""recording.py BOUGH HUNG: rule 48: recordings by the environment, by `bough run --trace` and by `bough record`, and `bough trace`."""
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from hanging import Hanging  # noqa: E402

bough, hung = sys.argv[1:]
folder = tempfile.TemporaryDirectory()
path = Path(folder.name)


def run(*arguments, **more):
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          **more)


def with_trace(file, **more):
    return {**os.environ, "BOUGH_TRACE": str(file), **more}


class Hung(Hanging):
    def __init__(self, *arguments, **environment):
        super().__init__([hung, *arguments], environment, stderr=subprocess.PIPE)

    def __enter__(self):
        return super().__enter__().process


def listed(file):
    out = run(bough, "trace", file)
    assert out.returncode == 0, out.stderr
    return out.stdout


def nothing_without_it():
    """without the variable there is no file, and nothing to show"""
    with Hung(BOUGH_TRACE="") as p:
        maps = Path(f"/proc/{p.pid}/maps").read_text()
    shared = re.findall(r" rw-s .* (/.*)", maps)
    if not shared or any("trace" in file or not file.startswith("/memfd:bough") for file in shared):
        yield maps
    for file, error in ((path / "none", "No such file"), ("/dev/null", "not a regular file"), (__file__, "no recording")):
        out = run(bough, "trace", file)
        if out.returncode != 1 or error not in out.stderr:
            yield f"{file}: {out.returncode} {out.stderr}"


def killed():
    """a killed program's recording has its threads, branches and open calls, and no control characters"""
    with Hung(BOUGH_TRACE=str(path / "killed")) as p:
        end = time.monotonic() + 30
        while "call read" not in listed(path / "killed") and time.monotonic() < end:
            pass  # the file is read while the process writes to it
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
    out = listed(path / "killed")
    for want in ("branch outer begins", "reader", "thread begins in branch outer", "call read (fd ", ", and was still there",
                 "stop (say", "its end is not recorded"):
        if want not in out:
            yield f"no {want!r} in {out}"
    if re.search(r"[^\n\x20-\x7e\x80-\U0010ffff]", out):
        yield "control characters"
    if stat.S_IMODE(os.stat(path / "killed").st_mode) != 0o600:
        yield "its mode"


def by_run():
    """bough run --trace records a program that does not use bough, and the programs that it executes"""
    out = run(bough, "run", "--trace", path / "run", "--", "sh", "-c", "sleep 0.05; exec sleep 0.01")
    text = listed(path / "run")
    if out.returncode != 0 or "sh begins" not in text or text.count("sleep begins") != 2:
        yield f"{out.returncode} {out.stderr} {text}"
    if not re.search(r"sleep +call clock_nanosleep \(50 ms\), \d+\.\d+ ms", text):
        yield text


def by_pid():
    """bough record PID records for a time, and from a process that is killed meanwhile"""
    with Hung() as p:
        out = run(bough, "record", "--seconds", "0.2", "-o", path / "pid", p.pid)
        text = listed(path / "pid")
        if out.returncode != 0 or "branch outer begins" not in text or "was killed" in text:
            yield f"{out.returncode} {out.stderr} {text}"
        recorder = subprocess.Popen([bough, "record", "-o", path / "again", str(p.pid)], stderr=subprocess.PIPE, text=True)
        if "until Ctrl-C" not in recorder.stderr.readline():
            yield "it does not begin"
        out = run(bough, "record", "--seconds", "1", "-o", path / "both", p.pid)
        if out.returncode != 1 or "records already" not in out.stderr or (path / "both").exists():
            yield f"a second one: {out.returncode} {out.stderr}"
        os.kill(p.pid, signal.SIGKILL)
        recorder.communicate(timeout=60)
    if recorder.returncode != 0 or "branch outer" not in listed(path / "again"):
        yield f"{recorder.returncode}"


def interrupted():
    """Ctrl-C ends bough record, and the process continues without a recording"""
    with Hung() as p:
        recorder = subprocess.Popen([bough, "record", "-o", path / "ctrl", str(p.pid)], stderr=subprocess.PIPE, text=True)
        recorder.stderr.readline()
        recorder.send_signal(signal.SIGINT)
        recorder.communicate(timeout=60)
        if recorder.returncode != 0 or "branch outer" not in listed(path / "ctrl"):
            yield f"{recorder.returncode}"
        if [f for f in os.listdir(f"/proc/{p.pid}/fd") if "bough-trace" in os.readlink(f"/proc/{p.pid}/fd/{f}")]:
            yield "the file is still open"


def unusable():
    """a program that can't be recorded reports that, and runs"""
    thesis = path / "thesis"
    thesis.write_text("my thesis\n")
    (path / "link").symlink_to(thesis)
    for name, variables, error in (("thesis", {}, "is not a recording"), ("link", {}, "symbolic link"),
                                   ("no/where", {}, "No such file"), ("x", {"BOUGH_TRACE_SIZE": "many"}, "number of bytes"),
                                   ("x", {"BOUGH_TRACE_THRESHOLD": "-1"}, "number of ms"),
                                   ("x", {"BOUGH_TRACE_ARGUMENTS": "perhaps"}, "yes or no")):
        program = Hung(BOUGH_TRACE=str(path / name), **variables)
        with program:
            pass
        if error not in program.errors:
            yield f"{name}: {program.errors}"
    if thesis.read_text() != "my thesis\n" or (path / "x").exists():
        yield "a file was changed"


if __name__ == "__main__":
    checks.run([nothing_without_it, killed, by_run, by_pid, interrupted, unusable])
