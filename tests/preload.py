# SPDX-License-Identifier: MIT
"""preload.py LIBRARY: programs that know nothing of bough, run with libbough-preload.so."""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checks

library = Path(sys.argv[1]).resolve()
folder = tempfile.TemporaryDirectory(prefix="bough-preload-")
fifo = Path(folder.name) / "fifo"
os.mkfifo(fifo)


def start(*command, input=subprocess.DEVNULL, **settings):
    return subprocess.Popen(command, env={**os.environ, "LD_PRELOAD": str(library), **settings}, stdin=input,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stands(process):
    """Blocked: in one and the same system call, two looks long."""
    before = None
    for _ in range(500):
        now = Path(f"/proc/{process.pid}/syscall").read_text()
        if now == before and now != "running\n":
            return
        before = now
        time.sleep(0.05)


def stop(process, signo):
    """Status, and how long it took."""
    begun = time.monotonic()
    process.send_signal(signo)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode, time.monotonic() - begun


def ends_at_once(signo, *command):
    process = start(*command)
    stands(process)
    status, took = stop(process, signo)
    if status != -signo or took > 2:
        yield f"{' '.join(command)}: status {status} after {took:.3f} s"


def blocked_programs():
    """a blocked program ends at once, and its status is the signal's"""
    for command in (["sleep", "1000"], ["cat", str(fifo)], ["tail", "-f", "/dev/null"],
                    [sys.executable, "-c", "import time; time.sleep(1000)"]):
        yield from ends_at_once(signal.SIGTERM, *command)
    yield from ends_at_once(signal.SIGINT, "sleep", "1000")


def what_does_not_listen():
    """a computation climbs the ladder and ends within the grace"""
    process = start("bash", "-c", "echo ready; while :; do :; done", BOUGH_GRACE="2")
    process.stdout.readline()
    status, took = stop(process, signal.SIGTERM)
    if status != -signal.SIGTERM or not 0.3 < took < 3:
        yield f"status {status} after {took:.3f} s"


def ordinary_ends():
    """a program that is left alone behaves as ever"""
    for command, status in ((["true"], 0), (["false"], 1), (["sh", "-c", "sleep 0.1; exit 3"], 3),
                            (["sh", "-c", "echo a | cat | wc -l"], 0)):
        process = start(*command)
        out, err = process.communicate(timeout=60)
        if process.returncode != status or err:
            yield f"{' '.join(command)}: status {process.returncode}, {err}"


def own_handlers():
    """a signal that the program takes itself is its own"""
    process = start("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    if process.returncode != 7:
        yield f"status {process.returncode}"


def settings():
    """the environment is heard: off, report, an error number, objects; a wrong one is named"""
    status, _ = stop(start("sleep", "1000", BOUGH_PRELOAD="off"), signal.SIGTERM)
    if status != -signal.SIGTERM:
        yield f"off: status {status}"
    report = start("cat", "/dev/null", BOUGH_PRELOAD="report").communicate(timeout=60)[1]
    if " interposed" not in report or "not reached" not in report:
        yield f"report: {report}"
    report = start("cat", "/dev/null", BOUGH_PRELOAD="report", BOUGH_OBJECTS="libnone.so:libnothing.so").communicate(timeout=60)[1]
    if " interposed" in report:
        yield f"objects: {report}"
    words = start("true", BOUGH_ERRNO="many").communicate(timeout=60)[1]
    if "BOUGH_ERRNO=many" not in words:
        yield f"a wrong error number: {words}"
    process = start("cat", BOUGH_ERRNO="5", input=subprocess.PIPE)  # EIO, after EINTR, after which it tries again
    stands(process)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    words = process.communicate()[1]
    if "Input/output error" not in words:
        yield f"another error number: {words}"


checks.run([blocked_programs, what_does_not_listen, ordinary_ends, own_handlers, settings])
