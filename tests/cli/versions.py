# SPDX-License-Identifier: MIT
"""versions.py BOUGH HUNG: each subcommand's message for a process whose arena was made by another version of the
library."""
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

bough, hung = sys.argv[1:]

# struct bo_header: magic, version, layout, sizes and numbers; ...; library.
VERSION, LAYOUT = 16, 20
LIBRARY = struct.calcsize("16s 10I 4Q q i i q")
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def run(*arguments):
    return subprocess.run([bough, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def header():
    """The header of a real arena."""
    with subprocess.Popen([hung], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout.readline() == b"ready\n"
        folder = Path(f"/proc/{process.pid}/fd")
        link = next(link for link in folder.iterdir() if os.readlink(link) == "/memfd:bough (deleted)")
        data = bytearray(Path(link).open("rb").read(4096))
        process.kill()
        return data


def others():
    """(what is different, a header)."""
    mine = struct.unpack_from("I", ARENA, VERSION)[0]
    for what, offset, value, library in (
        ("an older version", VERSION, mine - 1, b"0.0.9"),
        ("a newer version", VERSION, mine + 1, b"0.2.0"),
        ("the version of a distant future", VERSION, 0xFFFFFFFF, b"99.1"),
        ("another layout of the same version", LAYOUT, 12345, b"0.1.0"),
    ):
        data = bytearray(ARENA)
        struct.pack_into("I", data, offset, value)
        struct.pack_into("16s", data, LIBRARY, library)
        yield what, data, struct.unpack_from("I", data, VERSION)[0], library.decode()


class Holder:
    """Makes this process look like one that uses such a library."""

    def __init__(self, data):
        self.fd = os.memfd_create("bough", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(self.fd, data)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)

    def __enter__(self):
        return str(os.getpid())

    def __exit__(self, *error):
        os.close(self.fd)


def header_is_known():
    """the header has the layout that this test assumes"""
    text = bytes(ARENA)
    if not text.startswith(b"bough arena\0"):
        yield f"{text[:16]}"
    said = run("--version").stdout.split()[1]
    if text[LIBRARY:LIBRARY + 16].rstrip(b"\0").decode() != said:
        yield f"{text[LIBRARY:LIBRARY + 16]} is not {said}"


def each_subcommand_says_so():
    """tree, dump and interrupt fail, and name both versions"""
    mine = struct.unpack_from("I", ARENA, VERSION)[0]
    for what, data, version, library in others():
        with Holder(data) as pid:
            for arguments in (("tree", pid), ("tree", "--json", pid), ("dump", pid), ("dump", "--json", pid), ("interrupt", pid, "main"),
                              ("interrupt", "--yes", pid, "all"), ("interrupt", "--yes", "--rung", "6", "--ceiling", "6", pid, "all")):
                out = run(*arguments)
                wanted = f"process {pid} was built with bough {library}, arena version {version}; this command is of bough "
                if out.returncode != 1 or out.stdout or wanted not in out.stderr or f"arena version {mine}" not in out.stderr:
                    yield f"{what}: {arguments[0]}: {out}"


def ps_lists_it():
    """ps lists the process with the reason, beside the others"""
    for what, data, version, library in others():
        with Holder(data) as pid:
            out, rows = run("ps"), json.loads(run("ps", "--json").stdout)
            line = next((line for line in out.stdout.splitlines() if line.split()[:1] == [pid]), "")
            if out.returncode != 0 or f"bough {library}, arena version {version}" not in line:
                yield f"{what}: {out}"
            row = next((row for row in rows if row["pid"] == int(pid)), None)
            if row is None or f"arena version {version}" not in json.dumps(row):
                yield f"{what}: {row}"


def top_says_so():
    """top, which needs a terminal, reports it before it draws anything"""
    for what, data, version, library in others():
        with Holder(data) as pid:
            outside, inside = pty.openpty()
            try:
                out = subprocess.run([bough, "top", pid], stdin=inside, stdout=inside, stderr=subprocess.PIPE, text=True, timeout=60,
                                     env={**os.environ, "TERM": "xterm"})
                os.set_blocking(outside, False)
                try:
                    drawn = os.read(outside, 4096)
                except BlockingIOError:
                    drawn = b""
            finally:
                os.close(outside)
                os.close(inside)
            if out.returncode != 1 or drawn or f"bough {library}, arena version {version}" not in out.stderr:
                yield f"{what}: {out}, {drawn}"


def a_file_too():
    """tree --file fails in the same way for a copy"""
    for what, data, version, library in others():
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            out = run("tree", "--file", file.name)
            if out.returncode != 1 or out.stdout or f"bough {library}, arena version {version}" not in out.stderr:
                yield f"{what}: {out}"


ARENA = header()
checks.run([header_is_known, each_subcommand_says_so, ps_lists_it, top_says_so, a_file_too])
