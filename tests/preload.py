# SPDX-License-Identifier: MIT
"""preload.py LIBRARY EXITS: programs that were not written for bough, run with libbough-preload.so; EXITS is built from
preload/exits.c."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checks

library = Path(sys.argv[1]).resolve()
exits = Path(sys.argv[2]).resolve()
folder = tempfile.TemporaryDirectory(prefix="bough-preload-")
fifo = Path(folder.name) / "fifo"
os.mkfifo(fifo)


def start(*command, input=subprocess.DEVNULL, **settings):
    return subprocess.Popen(command, env={**os.environ, "LD_PRELOAD": str(library), **settings}, stdin=input,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


DELAY = r"\d+ 0x1 0x1 0x\w+ 0xdead5eed "  # a delay's sleep (T_DELAY_MARK of harness_internal.h)


def until_blocked(process):
    """Waits until the process is blocked: in the same system call at two checks."""
    before = None
    for _ in range(500):
        now = Path(f"/proc/{process.pid}/syscall").read_text()
        if now == before and now != "running\n" and not re.match(DELAY, now):
            return
        before = now
        time.sleep(0.05)


def stop(process, signo):
    """Sends the signal. Returns the status, and the time until the end."""
    begun = time.monotonic()
    process.send_signal(signo)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode, time.monotonic() - begun


def ends_at_once(signo, *command):
    process = start(*command, BOUGH_GRACE="600")  # so that the ladder's first step would come after 100 s
    until_blocked(process)
    status, took = stop(process, signo)
    if status != -signo:
        yield f"{' '.join(command)}: status {status} after {took:.3f} s"


def blocked_programs():
    """a blocked program ends at once, and its status is the signal's"""
    for command in (["sleep", "1000"], ["cat", str(fifo)], ["tail", "-f", "/dev/null"],
                    [sys.executable, "-c", "import time; time.sleep(1000)"]):
        yield from ends_at_once(signal.SIGTERM, *command)
    yield from ends_at_once(signal.SIGINT, "sleep", "1000")


def what_does_not_listen():
    """a computation climbs the ladder and ends within the grace"""
    process = start("bash", "-c", "echo ready; while :; do :; done", BOUGH_GRACE="10")
    process.stdout.readline()
    status, took = stop(process, signal.SIGTERM)
    if status != -signal.SIGTERM or not 1.6 < took < 15:
        yield f"status {status} after {took:.3f} s"


def ordinary_ends():
    """a program that is not interrupted behaves as without bough"""
    for command, status in ((["true"], 0), (["false"], 1), (["sh", "-c", "sleep 0.1; exit 3"], 3),
                            (["sh", "-c", "echo a | cat | wc -l"], 0)):
        process = start(*command)
        out, err = process.communicate(timeout=60)
        if process.returncode != status or err:
            yield f"{' '.join(command)}: status {process.returncode}, {err}"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # the program inherits the mask
    err = start("true").communicate(timeout=60)[1]
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if err:
        yield f"a signal is blocked: {err}"


def own_handlers():
    """bough does not take a signal that the program handles"""
    process = start("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    if process.returncode != 7:
        yield f"status {process.returncode}"


def settings():
    """the environment is read: off, report, an error number, objects; an invalid value is reported"""
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
    process = start("cat", BOUGH_ERRNO="5", input=subprocess.PIPE)  # EIO, after EINTR, on which cat retries
    until_blocked(process)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    words = process.communicate()[1]
    if "Input/output error" not in words:
        yield f"another error number: {words}"


def interrupted(way, **settings):
    """Ends exits.c by SIGTERM. Returns its status and its output."""
    process = start(exits, way, **settings)
    until_blocked(process)
    process.send_signal(signal.SIGTERM)
    try:
        out = process.communicate(timeout=30)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        out = process.communicate()[0] + "timeout"
    return process.returncode, out


def ways_to_exit():
    """after a signal, each way to exit, in any thread, has the signal's status; at_quick_exit() handlers run first"""
    for way, said in (("by_exit", ""), ("by__exit", ""), ("by__Exit", ""), ("by_quick_exit", "handler\n"),
                      ("from_an_exit_handler", ""), ("by_exit_in_a_thread", ""), ("by__exit_in_a_thread", ""),
                      ("by_quick_exit_in_a_thread", "handler\n")):
        found = interrupted(way)
        if found != (-signal.SIGTERM, said):
            yield f"{way}: status and output {found}"
    process = start(exits, "by__exit_when_raised", BOUGH_OBJECTS="libnone.so")
    process.communicate(timeout=60)
    if process.returncode != -signal.SIGTERM:
        yield f"an object that is not interposed: status {process.returncode}"


def python_exits():
    """os._exit() of Python is _exit(), too"""
    process = start(sys.executable, "-c", "import os, sys\ntry: os.read(os.pipe()[0], 1)\nexcept OSError: os._exit(3)")
    until_blocked(process)
    status, _ = stop(process, signal.SIGTERM)
    if status != -signal.SIGTERM:
        yield f"status {status}"


def children_exit():
    """a child process keeps its status, also if it runs in its parent's memory; after a signal it has the signal's status"""
    for way, child in (("by__exit_of_a_child", "3 0"), ("by_exit_of_a_child", "3 0"), ("by__exit_of_a_vfork", "3 0"),
                       ("by_exit_of_a_bare_fork", "3 0"), ("by__exit_of_a_child_that_was_signalled", "-1 15")):
        found = interrupted(way)
        if found != (-signal.SIGTERM, f"child {child}\n"):
            yield f"{way}: status and output {found}"
    found = interrupted("by_quick_exit_of_a_child")
    if found != (-signal.SIGTERM, "handler\nchild 3 0\n"):
        yield f"by_quick_exit_of_a_child: status and output {found}"


def other_ends():
    """an abort, an exec, a handler of the program and an exit without a signal end as without bough"""
    for way, status in (("by_abort", -signal.SIGABRT), ("by_exec", 5), ("takes_it", 3)):
        found = interrupted(way)
        if found != (status, ""):
            yield f"{way}: status and output {found}"
    process = start(exits, "by__exit_without_a_signal")
    process.communicate(timeout=60)
    if process.returncode != 3:
        yield f"without a signal: status {process.returncode}"
    status, _ = interrupted("by__exit", BOUGH_PRELOAD="off")
    if status != -signal.SIGTERM:
        yield f"off: status {status}"


checks.run([blocked_programs, what_does_not_listen, ordinary_ends, own_handlers, settings, ways_to_exit, python_exits,
            children_exit, other_ends])
