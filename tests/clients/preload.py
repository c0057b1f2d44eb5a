# SPDX-License-Identifier: MIT
"""preload.py LIBRARY PROGRAM: the waits of a program that was not written for bough (alone.c), with libbough-preload.so.

SIGTERM comes at a random moment while the main thread is blocked in the wait. The process has to end with the signal's status, and
never by abort(). A line "preload|..." has the times. CLIENTS_PRELOAD=n: the number of processes for each wait that
the interrupt ends; a fifth of that for each other wait.
"""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import checks

library, program = Path(sys.argv[1]).resolve(), sys.argv[2]
GRACE = "0.5"  # seconds: the ladder ends a wait that is not interruptible
ROUNDS = 10


def start(wait, **settings):
    return subprocess.Popen([program, wait], env={**os.environ, "LD_PRELOAD": str(library), **settings},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def until_blocked(process):
    """Waits until the process is in the same system call at two checks, and still after a random time. False if it has
    ended."""
    before, pause = None, random.random() / 1000
    while process.poll() is None:
        try:
            now = Path(f"/proc/{process.pid}/syscall").read_text()
        except OSError:
            continue
        if now == before and now != "running\n":
            if not pause:
                return True
            time.sleep(pause)
            pause = 0
        before = now
        time.sleep(0.002)
    return False


def stop(wait, **settings):
    """Sends the signal. Returns the seconds until the end, the status, and the program's standard error."""
    process = start(wait, **settings)
    if process.stdout.readline() == b"ready\n" and until_blocked(process):
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        took = time.monotonic() - begun
    else:
        took = 0
    errors = process.communicate()[1].decode(errors="replace")
    return took, process.returncode, errors


def rounds(ladder):
    most = int(os.environ.get("CLIENTS_PRELOAD", ROUNDS))
    return max(most // 5, 1) if ladder else most


def check(name, of, call, why):
    def ends():
        times = []
        for _ in range(rounds(why)):
            took, status, errors = stop(name, **({"BOUGH_GRACE": GRACE} if why else {}))
            if why and status == -signal.SIGKILL:  # on a busy machine the exit takes longer than its part of the grace, 0.13 s
                took, status, errors = stop(name, BOUGH_GRACE="15")
            if status == 77:
                print(f"# skipped: {errors.strip()}")
                return
            if status != -signal.SIGTERM:
                yield f"status {status} after {took:.3f} s; {errors[-2000:]}"
            times.append(took * 1000)
        times.sort()
        how = f"ladder of {GRACE} s" if why else ""
        print(f"# preload|{of}|{call}|{len(times)}|{times[len(times) // 2]:.0f}|{times[-1]:.0f}|{how}")

    ends.__doc__ = f"{name}: SIGTERM ends the process, with its status"
    return ends


def waits():
    lines = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
    return [check(*line.split("|")) for line in lines.splitlines()]


checks.run(waits())
