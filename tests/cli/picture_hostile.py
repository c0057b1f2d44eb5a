# SPDX-License-Identifier: MIT
"""picture_hostile.py BOUGH HUNG [--runs N] [--seed N]: damaged recordings are drawn or refused, and do no harm."""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("bough", type=os.path.abspath)
arguments.add_argument("hung", type=os.path.abspath)
arguments.add_argument("--runs", type=int, default=40)
arguments.add_argument("--seed", type=int, default=1000)
given = arguments.parse_args()
place = tempfile.TemporaryDirectory()
here = Path(place.name)


def recorded():
    """A recording of a process with threads in calls and regions, and with interrupts."""
    environment = {**os.environ, "BOUGH_TRACE": str(here / "whole"), "BOUGH_TRACE_THRESHOLD": "0", "BOUGH_TRACE_SIZE": "256K"}
    with subprocess.Popen([given.hung], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    return (here / "whole").read_bytes()


def damage(data, chance):
    """Damages bytes, mostly in parts that are not zero."""
    data = bytearray(data)
    used = [i for i, byte in enumerate(data) if byte]
    for _ in range(chance.choice((1, 3, 20, 300))):
        at = chance.choice(used) + chance.choice((0, 0, 0, 1, -1))
        data[at % len(data)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(data[:chance.randrange(len(data))] if chance.random() < 0.1 else data)


def check(form):
    text = (here / f"picture.{form}").read_text()
    if form == "svg":
        ElementTree.fromstring(text)
    elif form == "json":
        json.loads(text)
    elif not text.endswith("</html>\n"):
        raise ValueError("half a page")
    if re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text):
        raise ValueError("a control character")


def damaged():
    """a damaged recording gives a whole picture, or an error; no crash, and no control byte"""
    whole = recorded()
    for run in range(given.seed, given.seed + given.runs):
        (here / "damaged").write_bytes(damage(whole, random.Random(run)))
        form = ("svg", "html", "json")[run % 3]
        out = subprocess.run([given.bough, "picture", here / "damaged", "-o", here / f"picture.{form}"], capture_output=True, timeout=120)
        if out.returncode not in (0, 1) or (out.returncode == 1) != out.stderr.startswith(b"bough: ") or b"\x1b" in out.stderr:
            yield f"--seed {run} --runs 1: {out.returncode} {out.stderr.decode(errors='replace')}"
        try:
            if not out.returncode:
                check(form)
        except (ElementTree.ParseError, ValueError) as error:
            yield f"--seed {run} --runs 1: {form}: {error}"


checks.run([damaged])
