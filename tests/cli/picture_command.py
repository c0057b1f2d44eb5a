# SPDX-License-Identifier: MIT
"""picture_command.py BOUGH HUNG: `bough picture` of real recordings, its output file, and its errors."""
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

bough, hung = (os.path.abspath(p) for p in sys.argv[1:])
place = tempfile.TemporaryDirectory()
here = Path(place.name)
recording = here / "killed.trace"


def run(*arguments):
    return subprocess.run([bough, "picture", *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=here, stdin=subprocess.DEVNULL)


def listed():
    return subprocess.run([bough, "trace", recording], capture_output=True, text=True, timeout=60).stdout


def record():
    """Records a process with threads in calls and sections, and kills it."""
    environment = {**os.environ, "BOUGH_TRACE": str(recording), "BOUGH_TRACE_THRESHOLD": "0"}
    with subprocess.Popen([hung], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout.readline() == b"ready\n"
        end = time.monotonic() + 60
        while not all(event in listed() for event in ("call read", "region critical", "post #1")) and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
    return process.pid


pid = record()


def drawn():
    """a recording of a killed process is drawn in each form, and bars without a recorded end are open"""
    for form in ("svg", "html", "json"):
        out = run(recording, "-o", f"picture.{form}")
        if out.returncode or out.stdout or out.stderr:
            yield f"{form}: {out}"
    tree = ElementTree.parse(here / "picture.svg").getroot()
    text = "".join(tree.itertext())
    if f"process {pid}" not in text or not any("torn" in e.get("class", "") for e in tree.find("{*}g[@id='rows']").iter()):
        yield text
    for wanted in ("read", "critical", "interrupt"):
        if wanted not in text:
            yield f"no {wanted} in the drawing"
    if not any(e["ph"] == "X" and e["name"] == "read" for e in json.loads((here / "picture.json").read_text())["traceEvents"]):
        yield "no read in the trace events"


def options():
    """--from and --to draw a part of the time, --lanes few lanes; options may come first"""
    out = run("--from", "0", "--to=1e-4", "--lanes", "2", "--output", "part.svg", recording)
    text = (here / "part.svg").read_text()
    if out.returncode or "shown from 0 s to 100 µs" not in text or len(re.findall('class="row thread"', text)) > 2:
        yield f"{out} {text[:3000]}"


def output():
    """the picture has mode 0600, replaces a file or a link, and leaves nothing else behind"""
    (here / "target").write_text("kept")
    (here / "link.svg").symlink_to("target")
    (here / "old.SVG").write_text("old")
    for name in ("link.svg", "old.SVG"):
        out, status = run(recording, "-o", name), (here / name).lstat()
        if out.returncode or not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != 0o600 or "<svg" not in (here / name).read_text():
            yield f"{name}: {out}, {status}"
    if (here / "target").read_text() != "kept":
        yield "a link was followed"
    if left := [p.name for p in here.iterdir() if re.search(r"\.\w{6}$", p.name) and not p.name.endswith(".trace")]:
        yield f"left behind: {left}"


def errors():
    """each error names what is wrong and what to do, and no file is made"""
    (here / "folder.svg").mkdir()
    os.mkfifo(here / "pipe.svg")
    (here / "text.txt").write_text("no recording\n" * 1000)
    (here / "empty.txt").write_text("")
    (here / "a.svg").hardlink_to(recording)
    for arguments, status, wanted in (
        ((), 2, "usage: bough picture"),
        ((recording,), 2, "add `-o FILE.svg`, .html or .json"),
        ((recording, "-o", "picture.png"), 2, "'picture.png' is unknown: its name must end in .svg, .html or .json"),
        ((recording, "-o", ".svg"), 2, "'.svg' is unknown"),
        ((recording, recording, "-o", "x.svg"), 2, "usage: bough picture"),
        ((recording, "-o", "x.svg", "--lanes", "0"), 2, "--lanes must be 1 to 10000, got '0'"),
        ((recording, "-o", "x.svg", "--from", "-1"), 2, "--from must be a time in seconds since the recording's start, got '-1'"),
        ((recording, "-o", "x.svg", "--to", "nan"), 2, "--to must be a time in seconds"),
        ((recording, "-o", "x.svg", "--from", "2", "--to", "1"), 2, "--to must be later than --from"),
        ((recording, "-o", "x.svg", "--from", "1e6"), 1, "--from 1e+06 s is behind the end of"),
        ((recording, "-o", "folder.svg"), 1, "folder.svg is not a regular file: choose another name"),
        ((recording, "-o", "pipe.svg"), 1, "pipe.svg is not a regular file: choose another name"),
        ((recording, "-o", "a.svg"), 1, "a.svg is the recording itself: choose another name"),
        ((recording, "-o", "nowhere/x.svg"), 1, "cannot create a file beside nowhere/x.svg: No such file or directory"),
        (("nothing", "-o", "x.svg"), 1, "nothing"),
        (("text.txt", "-o", "x.svg"), 1, "text.txt"),
        (("empty.txt", "-o", "x.svg"), 1, "empty.txt"),
    ):
        out = run(*arguments)
        if out.returncode != status or wanted not in out.stderr or (here / "x.svg").exists():
            yield f"{arguments}: {out.returncode} {out.stderr}"


checks.run([drawn, options, output, errors])
