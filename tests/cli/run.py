# SPDX-License-Identifier: MIT
"""run.py BOUGH: the programs that `bough run` executes, their arguments and environment.
python/tests/test_command_line.py tests the package's side."""
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

bough = os.path.abspath(sys.argv[1])
place = tempfile.TemporaryDirectory()
here = Path(place.name)
SHOW = '#!/bin/sh\necho "$0|$LD_PRELOAD|$*"\n'


def write(name, text, mode=0o755):
    path = here / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


# Interpreters that write their arguments and environment.
for name in ("bin/python3", "bin/python3.99", "bin/pythonic"):
    write(name, SHOW)
write("plain.py", "")
write("folder/__main__.py", "")
write("bin/tool", "#!/usr/bin/env python3.99\n")
write("bin/options", f"#!{here}/bin/python3.99 -I\n")
write("bin/several", "#!/usr/bin/env -S python3.99 -X dev\n")


def run(*arguments, **more):
    environment = {**os.environ, "PATH": f"{here}/bin:{os.environ['PATH']}", **more}
    return subprocess.run([bough, "run", *arguments], cwd=here, env=environment, capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)


def python():
    """a Python program is run by its interpreter's package, with the same options"""
    tool, options, several = (f"{here}/bin/{name}" for name in ("tool", "options", "several"))
    for arguments, want in {
        "plain.py a -b": "python3||-m bough run -- plain.py a -b",
        "./plain.py": "python3||-m bough run -- ./plain.py",
        "folder": "python3||-m bough run -- folder",
        "nowhere.py": "python3||-m bough run -- nowhere.py",
        "tool a": f"python3.99||-m bough run -- {tool} a",
        "options": f"python3.99||-I -m bough run -- {options}",
        "several": f"python3.99||-X dev -m bough run -- {several}",
        "-m mod -x": "python3||-m bough run -m mod -x",
        "-mmod -x": "python3||-m bough run -m mod -x",
        "-c code": "python3||-m bough run -c code",
        "python3.99 plain.py -c": "python3.99||-m bough run -- plain.py -c",
        "python3.99 -B -W ignore -Xdev - a": "python3.99||-B -W ignore -Xdev -m bough run -- - a",
        "python3.99 -I -m mod a": "python3.99||-I -m bough run -m mod a",
        "python3.99 -Im mod a": "python3.99||-I -m bough run -m mod a",
        "python3.99 -BIcode a": "python3.99||-BI -m bough run -c ode a",
        "--grace 3 --dump=d --report plain.py": "python3||-m bough run --grace 3 --dump d --report -- plain.py",
        "--gr 3 -- plain.py": "python3||-m bough run --grace 3 -- plain.py",
    }.items():
        out = run(*arguments.split())
        said = out.stdout.strip().replace(f"{here}/bin/python", "python", 1)
        if said != want:
            yield f"{arguments}: {said} {out.stderr}, not {want}"


def fight():
    """the package and the preload object are never in one process"""
    out = run("plain.py", LD_PRELOAD="")
    kept = run("python3", "plain.py", LD_PRELOAD=f"{Path(bough).parent.parent}/src/libbough-preload.so")
    for done in (out, kept):
        if "|-m bough run -- plain.py" not in done.stdout or "preload" in done.stdout:
            yield f"{done}"


def native():
    """any other program gets the preload object, before other preloaded objects, and the settings"""
    for arguments in (("pythonic", "a"), ("--grace", "3", "--dump", "d", "env")):
        out = run(*arguments, LD_PRELOAD="libm.so.6")
        if "libbough-preload.so:libm.so.6" not in out.stdout:
            yield f"{out}"
    for want in ("BOUGH_GRACE=3\n", "BOUGH_DUMP=d\n"):
        if want not in out.stdout:
            yield f"no {want!r}: {out}"
    if "interposed" not in run("--report", "sleep", "0").stderr:
        yield "no report"


def interpreter():
    """an interpreter without a program is executed unchanged"""
    out = run("python3", "-V")
    if not out.stdout.endswith("|-V\n") or "preload" not in out.stdout:
        yield f"{out}"


def stops():
    """SIGTERM ends the program by its error path, with the signal's status"""
    with subprocess.Popen([bough, "run", "sh", "-c", "echo ready; exec sleep 3600"], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        if process.wait(30) not in (-signal.SIGTERM, 128 + signal.SIGTERM):
            yield f"status {process.returncode}"


def mistakes():
    """each message names what was wrong, and what to do"""
    for arguments, status, want in (
        ("", 2, "bough: no program is given\nusage: bough run "),
        ("-m", 2, "usage: bough run "),
        ("--unknown plain.py", 2, "unrecognized option '--unknown'"),
        ("--grace soon plain.py", 2, "bough: --grace must be a number of seconds, more than 0 and less than 25 days, got 'soon'"),
        ("--grace nan plain.py", 2, "got 'nan'"),
        ("nowhere", 127, "bough: cannot execute nowhere: No such file or directory\n"),
        ("/", 126, "bough: cannot execute /: Permission denied\n"),
        ("/etc/passwd", 126, "bough: cannot execute /etc/passwd: Permission denied\n"),
    ):
        out = run(*arguments.split())
        if out.returncode != status or want not in out.stderr or out.stdout:
            yield f"{arguments}: {out}"


checks.run([python, fight, native, interpreter, stops, mistakes])
