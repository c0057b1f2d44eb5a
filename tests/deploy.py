# SPDX-License-Identifier: MIT
"""deploy.py ROOT: the sample unit and container file parse, and fit the ladder's times."""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import RawConfigParser
from pathlib import Path

import checks

folder = Path(sys.argv[1]) / "examples/deploy"


class Options(dict):
    """A key may be repeated. Its values are joined by line breaks."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            value = self[key] + value
        super().__setitem__(key, value)


def unit():
    parser = RawConfigParser(strict=False, dict_type=Options, delimiters="=", comment_prefixes="#")
    parser.optionxform = str
    parser.read_string((folder / "bough-server.service").read_text())
    return parser


def environment(service):
    return dict(line.split("=", 1) for line in service["Environment"].split("\n"))


def seconds(text):
    return float(re.fullmatch(r"([0-9.]+)s?", text).group(1))


def unit_says_what_it_must():
    """the unit parses, and its stop is longer than the grace"""
    sections = unit()
    service = sections["Service"]
    want = {"Type": "notify", "NotifyAccess": "main", "KillMode": "mixed", "KillSignal": "SIGTERM", "LimitCORE": "infinity"}
    yield from (f"{k}={service.get(k)}" for k, v in want.items() if service.get(k) != v)
    env = environment(service)
    if seconds(service["TimeoutStopSec"]) <= seconds(env["BOUGH_GRACE"]):
        yield "systemd does not wait as long as the grace"
    if not env["BOUGH_DUMP"].startswith(f"%S/{service['StateDirectory']}/"):
        yield f"BOUGH_DUMP={env['BOUGH_DUMP']} is in no folder of the unit's"
    if env.get("BOUGH_CORE") != "1" or not service["ExecStart"].startswith("/"):
        yield "no core, or no absolute path"
    yield from (f"no [{name}]" for name in ("Unit", "Install") if name not in sections)


def unit_is_verified():
    """systemd-analyze, where it is installed, reports nothing"""
    if not shutil.which("systemd-analyze"):
        return
    with tempfile.TemporaryDirectory() as there:
        copy = Path(there) / "bough-server.service"
        text = (folder / "bough-server.service").read_text()
        copy.write_text(text.replace("/usr/local/bin/bough-server", "/bin/true"))
        run = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, timeout=60)
    yield from (line for line in (run.stdout + run.stderr).splitlines() if "bough-server" in line)


def instructions():
    text = re.sub(r"^#.*\n", "", (folder / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def container_says_what_it_must():
    """the container file: exec form, SIGTERM, a grace below 10 s"""
    last = dict(instructions())
    if not isinstance(json.loads(last["ENTRYPOINT"]), list):
        yield f"ENTRYPOINT {last['ENTRYPOINT']}: signals would go to a shell"
    if last["STOPSIGNAL"] != "SIGTERM" or "CMD" in last:
        yield f"STOPSIGNAL {last['STOPSIGNAL']}"
    if not 0 < seconds(dict([last["ENV"].split("=", 1)])["BOUGH_GRACE"]) < 10:
        yield f"ENV {last['ENV']}"
    if last["FROM"] == instructions()[0][1]:
        yield "the build is not in a separate stage"


def build_packages():
    """`make install` installs these files"""
    line = re.search(r"^build: (.*)$", (folder / "../../tools/packages").read_text(), re.M)
    return line.group(1).split()


def container_has_what_it_runs():
    """an earlier RUN installs each program of a RUN that debian:12 lacks, as make and a compiler"""
    provides = {"build-essential": ["make", "cc"], "pkg-config": ["pkg-config"]}
    there = {"apt-get", "ldconfig"}
    for name, rest in instructions():
        if name == "FROM":
            there = {"apt-get", "ldconfig"}
        for command in rest.split("&&") if name == "RUN" else []:
            words = [w for w in re.findall(r"(?:^|\$\()\s*([a-z-]+)", command)]
            yield from (f"RUN {word}: not there" for word in words if word not in there)
            if words[0] == "apt-get" and "install" in command:
                there.update(command.split()[2:])
            if words[0] == "make":
                there.update(tool for package in build_packages() for tool in provides.get(package, []))


checks.run([unit_says_what_it_must, unit_is_verified, container_says_what_it_must,
            container_has_what_it_runs])
