# SPDX-License-Identifier: MIT
"""examples.py ROOT PROGRAM...: each example behaves as its first lines describe, and ends with the right status."""
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from checks import free_port

root = Path(sys.argv[1])
programs = {Path(p).name: p for p in sys.argv[2:]}
LIMIT = 60 * float(os.environ.get("T_SCALE") or 1)
tests = []

# If a shell runs this in its background, or nohup does, some signals are ignored, and the programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Wrong(Exception):
    pass


def test(function):
    tests.append(function)
    return function


def check(condition, text):
    if not condition:
        raise Wrong(text)


def run(name, *arguments, **keywords):
    done = subprocess.run([programs[name], *arguments], capture_output=True, text=True, timeout=LIMIT, **keywords)
    return done.returncode, done.stdout, done.stderr


def check_output(name, *patterns, status=0):
    """The patterns are found in the output, in this order."""
    code, out, err = run(name)
    check(code == status, f"status {code}, not {status}\n{out}{err}")
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(out, at)
        check(found, f"no {pattern!r} in\n{out}{err}")
        at = found.end()
    check(err == "", err)


# ---- the server: a real process, real clients, signals from outside ------------------------------------------------


def connect(port):
    end = time.monotonic() + LIMIT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        except ConnectionRefusedError:
            check(time.monotonic() < end, "the server does not listen")
            time.sleep(0.01)


def echo(client, text):
    client.sendall(text)
    got = b""
    while len(got) < len(text):
        got += client.recv(65536)
    check(got == text, "the echo differs")


def fill(client):
    """Sends until there is no more room: the server is blocked in its write."""
    client.settimeout(0.3)
    try:
        while True:
            client.send(bytes(65536))
    except TimeoutError:
        pass


def stop_server(signo):
    port = free_port()
    with subprocess.Popen([programs["server"], str(port)]) as server:
        clients = [connect(port) for _ in range(20)]
        for client in clients[:10]:
            echo(client, os.urandom(100000))
        clients.pop().close()
        fill(clients[0])
        server.send_signal(signo)
        code = server.wait(LIMIT)
        for client in clients:
            client.close()
    check(code == -signo, f"status {code}, not {-signo}")


@test
def server_by_signal():
    """server: echoes, and ends by SIGINT, SIGTERM, SIGHUP with a client of each kind"""
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        stop_server(signo)


@test
def server_in_a_shell():
    """server: its status in a shell is 130"""
    port = free_port()
    command = f"'{programs['server']}' {port}; echo $?"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as shell:
        connect(port).close()
        children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGINT)
        check(shell.stdout.read() == "130\n", "not 130")


@test
def server_survives_clients():
    """server: clients that disconnect in the middle of an echo do not end other clients' handlers"""
    port = free_port()
    with subprocess.Popen([programs["server"], str(port)]) as server:
        stays = connect(port)
        for _ in range(50):
            with connect(port) as client:
                client.sendall(bytes(300000))
        echo(stays, b"still here")
        stays.close()
        server.terminate()
        check(server.wait(LIMIT) == -signal.SIGTERM, "status")


@test
def server_port_taken():
    """server: reports that it can't listen"""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        done = subprocess.run([programs["server"], str(port)], capture_output=True, text=True, timeout=LIMIT)
        check(done.returncode == 1 and "server: " in done.stderr, f"{done.returncode} {done.stderr}")


@test
def server_is_short():
    """server: 40 lines or fewer"""
    check(len((root / "examples/server.c").read_text().splitlines()) <= 40, "too long")


# ---- the demonstration ----------------------------------------------------------------------------------------------


@test
def demo():
    """demo: 500 clients, nothing lost, in less than 10 s"""
    begun = time.monotonic()
    code, out, err = run("demo")
    check(code == 0, f"status {code}\n{out}{err}")
    check(err == "", err)
    check("\033" not in out and "\r" not in out, "not plain in a pipe")
    for text in ("200/200 idle", "150/150 streaming", "150/150 stuck", "500 interrupted", "130", "Nothing was lost."):
        check(text in out, f"no {text!r} in\n{out}")
    check(time.monotonic() - begun < 10 * LIMIT / 60, "too slow")


@test
def demo_without_descriptors():
    """demo: reports that it needs more descriptors"""
    import resource

    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    code, out, err = run("demo", preexec_fn=limit)
    check(code == 2 and "descriptors" in err, f"{code} {out}{err}")


# ---- the others -----------------------------------------------------------------------------------------------------


@test
def bounded():
    """bounded: never more than three at a time"""
    check_output("bounded", r"^at most 3 at a time$")


@test
def deadline():
    """deadline: of a block, of a branch, nested"""
    check_output(
        "deadline",
        r"^read: .*[cC]ancel",
        r"^block: .*timed out",
        r"^branch: .*timed out; 3 jobs done, 3 interrupted$",
        r"^left: less than a second$",
        r"^inner block: .*[cC]ancel",
        r"^outer block: .*timed out",
    )


@test
def daemon():
    """daemon: each signal ends it cleanly, by that signal"""
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with subprocess.Popen([programs["daemon"]], stdout=subprocess.PIPE, text=True) as process:
            check("works" in process.stdout.readline(), "it does not begin")
            process.send_signal(signo)
            out = process.stdout.read()
            code = process.wait(LIMIT)
        check(code == -signo, f"status {code}\n{out}")
        check(out.count("has tidied up") == 3, out)
        check(out.endswith(f"all have ended, by {signal.Signals(signo).name}\n"), out)


@test
def event_loop_epoll():
    """event_loop_epoll: ticks until a signal ends it"""
    check_output("event_loop_epoll", r"^tick$", r"^the loop ends: a few ticks are enough$")


@test
def event_loop_glib():
    """event_loop_glib: ticks until a signal ends it"""
    if "event_loop_glib" in programs:
        check_output("event_loop_glib", r"^tick$", r"^the loop ends$")


@test
def levels():
    """levels: the answer is complete, because no interrupt ends the critical section"""
    check_output("levels", r"^serve: reads")
    for line in ("serve: writes its log, undisturbed", "count: its two halves are equal", "main: has half an answer"):
        check_output("levels", line)


def in_order(out, *texts):
    at = -1
    for text in texts:
        found = out.find(text, at + 1)
        check(found >= 0, f"no {text!r}, or not there, in\n{out}")
        at = found


@test
def ladder():
    """ladder: climbs, reports each rung and the thread that hangs, and ends by the signal"""
    code, out, err = run("ladder", "--demo")
    check(code == -signal.SIGTERM and err == "", f"status {code}\n{out}{err}")
    check("\033" not in out, "not plain in a pipe")
    check("bough tree " in out, out)
    in_order(out, "`behaves` leaves", "rung 2", "(hangs)", "the accounts are closed")
    in_order(out, "the handler of `slow` asks", "`slow` has used it", "rung 5, the process exits", "(hangs)")
    in_order(out, "`behaves` leaves", "the budget of the critical section is used up", "rung 5")


@test
def ladder_by_hand():
    """ladder: serves its clients; a second Ctrl-C makes it climb at once"""
    with subprocess.Popen([programs["ladder"]], stdout=subprocess.PIPE, text=True) as process:
        port = int(re.match(r"Port (\d+)\.", process.stdout.readline()).group(1))
        with connect(port) as client:
            check(client.recv(6) == b"hello\n", "no greeting")
        process.send_signal(signal.SIGINT)
        check("`behaves` leaves" in process.stdout.readline(), "the first signal does not arrive")
        time.sleep(0.3)  # signals within 250 ms are one event
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        code = process.wait(LIMIT)
    check(code == -signal.SIGINT, f"status {code}\n{out}")
    in_order(out, "rung 2", "a further event", "rung 5")


@test
def ladder_is_short():
    """ladder: fewer than 150 lines"""
    check(len((root / "examples/ladder.c").read_text().splitlines()) < 150, "too long")


@test
def exceptions():
    """exceptions: C++, at the borders of blocks and threads, and in a wait of the standard library"""
    if "exceptions" in programs:
        check_output(
            "exceptions",
            r"^serve: the configuration is wrong; 2 children interrupted$",
            r"^pages: page 7 is empty$",
            r"^orders: .*timed out$",
        )


@test
def tree():
    """tree: the first failure, with the failure in its cleanup below it"""
    check_output(
        "tree",
        r"^build: 1 failed, 1 interrupted$",
        r"^system in tests: Protocol error: page 7 is empty",
        r"^    unit in tests: Directory not empty: its folder could not be removed",
    )


failed = 0
print(f"1..{len(tests)}")
for number, run_it in enumerate(tests, 1):
    try:
        run_it()
        print(f"ok {number} - {run_it.__doc__}", flush=True)
    except (Wrong, OSError, subprocess.TimeoutExpired) as error:
        failed = 1
        print(f"not ok {number} - {run_it.__doc__}")
        print("".join(f"# {line}\n" for line in str(error).splitlines()), end="", flush=True)
sys.exit(failed)
