# SPDX-License-Identifier: MIT
"""under.py PROGRAM: calls of foreign code are interrupted under a debugger and under valgrind as well. PROGRAM is a
test program. A tool that is not installed is skipped."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import checks  # noqa: E402

SUPPRESSIONS = Path(__file__).resolve().parents[2] / "tools" / "valgrind.supp"
program = Path(sys.argv[1]).resolve()
names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


# Under valgrind these tests are left out: a wake outside of the recorded call changes the signal mask of the code to
# which its handler returns, which valgrind ignores.
NOT_UNDER_VALGRIND = {"a_plain_longjmp_out_of_a_call_is_detected_by_a_check"}


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300)


def debugger():
    """under gdb each test ends cleanly, and the wake signal is passed on without a stop"""
    for name in names:
        out = run("gdb", "--batch", "-nx", "-ex", "handle all nostop noprint pass", "-ex", "run", "-ex", "bt", "--args",
                  program, "--here", name).stdout
        if not re.search(r"exited normally", out):
            yield f"{name}: {out[-600:]}"


def stopped_in_a_stand_in():
    """at a breakpoint the stack shows the caller, through bough's function"""
    out = run("gdb", "--batch", "-nx", "-ex", "set breakpoint pending on", "-ex", "break bough_poll", "-ex", "run", "-ex", "bt",
              "--args", program, "--here", "a_call_that_cannot_block_is_not_interrupted").stdout
    if not re.search(r"bough_poll.*stand_in_poll.*a_call_that_cannot_block", out, re.S):
        yield out[-600:]


def valgrind():
    """under valgrind each test passes, and no memory is used wrongly"""
    for name in names:
        if name not in NOT_UNDER_VALGRIND:
            done = run("valgrind", "--quiet", "--error-exitcode=99", "--fair-sched=yes",
                       f"--suppressions={SUPPRESSIONS}", program, name)
            if done.returncode != 0 or "not ok" in done.stdout:
                yield done.stdout[-600:]


checks.run([check for check, tool in ((debugger, "gdb"), (stopped_in_a_stand_in, "gdb"), (valgrind, "valgrind"))
            if shutil.which(tool)])
