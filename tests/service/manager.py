# SPDX-License-Identifier: MIT
"""A systemd user manager for the test. It is in PID and mount namespaces, and in a control group that is removed with
it."""
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import checks

# systemd runs as a user's manager only if systemd has booted the system, which it detects by a folder, and not as
# process 1. So the shell is process 1 here.
START = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user && chmod 700 /run/user || exit 1
for group; do echo $$ >"$group/cgroup.procs" || exit 1; done
export XDG_RUNTIME_DIR=/run/user
$SYSTEMD --user --log-target=console --log-level=info
exit $?
"""


def find_systemd():
    for path in "/usr/lib/systemd/systemd", "/lib/systemd/systemd":
        if Path(path).exists() and shutil.which("systemctl"):
            return path
    raise checks.Skip("systemd is not installed")


def make_groups():
    """Makes a group in each hierarchy in which systemd keeps its units' processes."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    groups = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, (kind, _, options) = (part.split() for part in re.split(r"( - )", line))
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            group = Path(fields[4] + own.get("" if kind == "cgroup2" else "name=systemd", "/")) / f"bough-test-{os.getpid()}"
            group.mkdir()
            groups.append(str(group))
    return groups


class Manager:
    def __init__(self, limit):
        self.limit = limit

    def __enter__(self):
        if os.geteuid() != 0:
            raise checks.Skip("a separate service manager needs root")
        self.systemd = find_systemd()
        self.folder = tempfile.TemporaryDirectory()
        self.home = self.folder.name
        self.groups = []
        try:
            self.groups = make_groups()
        except OSError as error:
            self.remove()
            raise checks.Skip(f"no control group can be made: {error}")
        self.output = open(f"{self.home}/log", "w")
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "SYSTEMD": self.systemd}
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", START,
                                         "sh", *self.groups], env=env, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        try:
            self.wait_until_it_runs()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_it_runs(self):
        end = time.monotonic() + self.limit
        while "running" not in self.run("is-system-running").stdout:
            if self.process.poll() is not None or time.monotonic() > end:
                raise checks.Skip(f"no user manager can be started here: {self.log().strip()[-300:] or 'it does not answer'}")
            time.sleep(0.05)

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.output.close()
        self.remove()

    def remove(self):
        """Removes the groups, which are busy until their last process has ended."""
        end = time.monotonic() + self.limit
        for top in self.groups:
            while Path(top).exists() and time.monotonic() < end:
                for group, _, _ in os.walk(top, topdown=False):
                    try:
                        os.rmdir(group)
                    except OSError:
                        time.sleep(0.01)
        self.folder.cleanup()

    # ---- the manager's units

    def run(self, *arguments):
        try:
            first = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]
        except (OSError, IndexError):
            return subprocess.CompletedProcess(arguments, 1, "", "it is not there yet")
        return subprocess.run(["nsenter", "--target", first, "--pid", "--mount", "env", "XDG_RUNTIME_DIR=/run/user",
                               "systemctl", "--user", "--no-pager", *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=self.limit)

    def add(self, name, text):
        folder = Path(self.home) / ".config/systemd/user"
        folder.mkdir(parents=True, exist_ok=True)
        note = f"ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >{self.home}/{name}.end'\n"
        (folder / f"{name}.service").write_text(text.replace("[Service]\n", f"[Service]\n{note}"))
        self.control("daemon-reload")

    def control(self, *arguments):
        done = self.run(*arguments)
        if done.returncode:
            raise RuntimeError(f"systemctl {arguments}: {done.stderr} {self.log()}")

    def show(self, name, *properties):
        out = self.run("show", name, *(f"-p{p}" for p in properties)).stdout
        return dict(line.split("=", 1) for line in out.splitlines())

    def end_of(self, name):
        """The result, code and status of a unit that ends. The unit writes them down, because systemd forgets a unit
        that ended well."""
        file, end = Path(f"{self.home}/{name}.end"), time.monotonic() + self.limit
        while not file.exists() or not (text := file.read_text()).endswith("\n"):
            if time.monotonic() > end:
                raise TimeoutError(f"{name} has not ended: {self.log()}")
            time.sleep(0.05)
        return text.strip()

    def pid_here(self, name):
        """The id of the unit's process outside the manager's namespace."""
        inside = self.show(name, "MainPID")["MainPID"]
        first = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0]
        space = os.readlink(f"/proc/{first}/ns/pid")
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and os.readlink(folder / "ns/pid") == space and \
                        re.search(rf"^NStgid:.*\t{inside}$", (folder / "status").read_bytes().decode(errors="replace"), re.M):
                    return int(folder.name)
            except OSError:  # it has just ended
                pass
        raise ProcessLookupError(f"{name} has no process {inside}: {self.log()}")

    def log(self):
        return Path(f"{self.home}/log").read_text()
