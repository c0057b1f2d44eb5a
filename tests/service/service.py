# SPDX-License-Identifier: MIT
"""service.py ROOT SERVER NOTIFIER BOUGH: the messages of programs to a service manager, which is a socket of the test,
or systemd."""
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402
from manager import Manager  # noqa: E402

root, server, notifier, bough = map(os.path.abspath, sys.argv[1:])
SCALE = float(os.environ.get("T_SCALE") or 1)
LIMIT = 60 * SCALE
FOREIGN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "BOUGH_GRACE", "BOUGH_DUMP", "BOUGH_CORE")


def start(*command, **environment):
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    return subprocess.Popen(command, env=env | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def steps(*arguments, **environment):
    """Runs the steps. Returns their results: (name, result, errno)."""
    out = start(notifier, *arguments, **environment).communicate(timeout=LIMIT)[0]
    return [(name, int(result), int(error)) for name, result, error in map(str.split, out.splitlines())]


class Listener:
    """A service manager's socket."""

    def __init__(self, abstract=False):
        self.folder = tempfile.TemporaryDirectory()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = f"@bough-test-{os.getpid()}" if abstract else f"{self.folder.name}/notify"
        self.socket.bind(self.address.replace("@", "\0"))
        self.socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()
        self.folder.cleanup()

    def heard(self):
        """All messages that the socket has received."""
        texts = []
        try:
            while True:
                texts.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return texts


def on_request():
    """ready and watchdog messages are sent on request, also in a handler, to a path and to an abstract name; nothing else is sent"""
    for abstract in False, True:
        with Listener(abstract) as manager:
            got = steps("ready", "feed", "in-handler", NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="5000000")
            if got != [("ready", 1, 0), ("feed", 1, 0), ("in-handler", 1, 0)]:
                yield f"{got}"
            if (heard := manager.heard()) != ["READY=1", "WATCHDOG=1", "READY=1"]:
                yield f"{heard}"
    with Listener() as manager, start(notifier, "deaf", NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="1") as process:
        process.stdout.readline()
        process.terminate()
        manager.socket.settimeout(LIMIT)
        first = manager.socket.recv(4096).decode()
        process.kill()
        process.wait()
        manager.socket.setblocking(False)
        if not re.fullmatch(r"STOPPING=1\nEXTEND_TIMEOUT_USEC=\d{8}", first) or (heard := manager.heard()):
            yield f"{first} {heard}"


def nobody():
    """without a service manager nothing is sent, and the functions succeed"""
    if (got := steps("ready", "feed", "interval")) != [("ready", 0, 0), ("feed", 0, 0), ("interval", 0, 0)]:
        yield f"{got}"


def wrong_addresses():
    """an invalid address, or one without a listener, is an error"""
    with Listener() as manager:
        gone = manager.address
    for address, error in (("nonsense", errno.EINVAL), ("/", errno.EINVAL), ("@", errno.EINVAL), ("/" + "x" * 200, errno.EINVAL),
                           ("vsock:2:1", errno.EINVAL), (gone, errno.ENOENT), (f"@{gone}", errno.ECONNREFUSED)):
        if (got := steps("ready", NOTIFY_SOCKET=address)) != [("ready", -1, error)]:
            yield f"{address}: {got}"


def full():
    """a full queue does not block the sender"""
    with Listener() as manager, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        try:
            while True:
                other.sendto(b"x", manager.address)
        except BlockingIOError:
            pass
        if (got := steps("ready", NOTIFY_SOCKET=manager.address)) != [("ready", -1, errno.EAGAIN)]:
            yield f"{got}"
        manager.heard()
        if (got := steps("ready", NOTIFY_SOCKET=manager.address)) != [("ready", 1, 0)]:
            yield f"{got}"


def watchdogs():
    """the watchdog's time is checked, and holds for the process that it names"""
    for usec, pid, interval, error in (("3000000", None, 3 * 10 ** 9, 0), ("1", None, 1000, 0), ("5", "1", 0, 0), ("", None, 0, 0),
                                       ("0", None, -1, errno.EINVAL), ("-5", None, -1, errno.EINVAL), ("5x", None, -1, errno.EINVAL),
                                       ("9223372036854775807", None, -1, errno.EINVAL), ("5", "x", -1, errno.EINVAL),
                                       ("5", "99999999999", -1, errno.EINVAL)):
        environment = {"WATCHDOG_USEC": usec} | ({} if pid is None else {"WATCHDOG_PID": pid})
        with Listener() as manager:
            got = steps("interval", "feed", NOTIFY_SOCKET=manager.address, **environment)
            fed = 1 if interval > 0 else interval
            if got != [("interval", interval, error), ("feed", fed, error)] or len(manager.heard()) != (interval > 0):
                yield f"{usec}, {pid}: {got}"
    with Listener() as manager:
        shell = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", notifier, "interval", "fork", "interval", "feed"]
        with start(*shell, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="7") as process:
            out = process.communicate(timeout=LIMIT)[0]
        if out != "interval 7000 0\ninterval 0 0\nfeed 0 0\n" or manager.heard():
            yield out


# ---- a real user manager --------------------------------------------------------------------------------------------


def sample(**lines):
    """The sample unit, for this build's server, with other lines."""
    text = (Path(root) / "examples/deploy/bough-server.service").read_text()
    for key, value in lines.items():
        text, count = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.M)
        if not count:
            text = text.replace("[Service]\n", f"[Service]\n{key}={value}\n")
    return text


def unit_serves():
    """the sample unit starts when the server is ready, serves, is seen by the command, and stops cleanly"""
    if os.environ.get("SANITIZER") == "thread":
        raise checks.Skip("the thread sanitizer keeps SIGTERM from its handler until main calls libc, and main accepts")
    port = checks.free_port()
    with Manager(LIMIT) as manager:
        manager.add("bough-server", sample(ExecStart=f"{server} {port}"))
        manager.control("start", "bough-server")
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
            client.sendall(b"hello")
            if client.recv(5) != b"hello":
                yield "no echo"
            pid = manager.pid_here("bough-server")
            out = subprocess.run([bough, "tree", str(pid)], capture_output=True, text=True)
            if "server.c:" not in out.stdout or "in its PID namespace" not in out.stdout:
                yield f"{out}"
            manager.control("stop", "bough-server")
        if (end := manager.end_of("bough-server")) != "success killed TERM":
            yield f"{end} {manager.log()}"


def unit_that_hangs():
    """a unit that ignores SIGTERM has the time of the ladder, although systemd's default is shorter"""
    with Manager(LIMIT) as manager:
        text = sample(ExecStart=f"{notifier} ready deaf", TimeoutStopSec="4s", Restart="no", LimitCORE="0")
        manager.add("bough-server", text)  # the ladder's first step comes after 5 s
        manager.control("start", "bough-server")
        manager.control("stop", "bough-server")
        if (end := manager.end_of("bough-server")) not in ("success killed TERM", "signal killed ABRT", "core-dump dumped ABRT"):
            yield f"{end} {manager.log()}"


def unit_with_watchdog():
    """a watchdog does not end a unit that sends its messages, even while the unit stops, and ends another"""
    with Manager(LIMIT) as manager:
        for name, step in ("fed", "linger"), ("forgets", "forget"):
            text = sample(ExecStart=f"{notifier} ready {step}", WatchdogSec=f"{3 * SCALE:g}s", Restart="no", LimitCORE="0")
            manager.add(name, text)
            manager.control("start", name)
        if not (end := manager.end_of("forgets")).startswith("watchdog "):
            yield f"{end} {manager.log()}"
        if (state := manager.show("fed", "ActiveState")) != {"ActiveState": "active"}:
            yield f"{state} {manager.log()}"
        os.kill(manager.pid_here("fed"), signal.SIGTERM)  # not by systemd, which would then stop watching
        if (end := manager.end_of("fed")) != "success killed TERM":
            yield f"{end} {manager.log()}"


checks.run([on_request, nobody, wrong_addresses, full, watchdogs, unit_serves, unit_that_hangs, unit_with_watchdog])
