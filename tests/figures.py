# SPDX-License-Identifier: MIT
"""figures.py ROOT: tools/site/figures.py draws the benches' figures: labels and points are where they should be."""
import copy
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

root = Path(sys.argv[1]).resolve()
sys.dont_write_bytecode = True
import checks  # noqa: E402

SCRIPT = root / "tools/site/figures.py"
SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {"cpu": "Some <processor> & more", "kernel": "Linux 6.1 x86_64", "virtualized": "virtual machine", "compiler": "gcc 12",
           "libc": "glibc 2.36", "clock": "tsc", "cores": 4, "usable": 2, "load": 3.25}


def line(what, against, value, times=(2e4, 1e5), threads=0, bough="bough"):
    return {"what": what, "bough": bough, "against": against, "threads": threads, "ratio": value, "low": value * 0.9,
            "high": value * 1.1, "bough_value": times[0], "bough_low": times[0] * 0.9, "bough_high": times[0] * 1.1,
            "against_value": times[1], "against_low": times[1] * 0.9, "against_high": times[1] * 1.2, "pairs": 40, "at_most": 1,
            "stretch": 0, "met": True}


RESULTS = {"machine": MACHINE, "lines": [
    line("check", "a load", 0.01, bough="bough_check()"),
    line("check", "a peer", 0.1, bough="bough_check()"),
    {"what": "check", "bough": "bough_check()", "against": "an absent one", "threads": 0, "skipped": "not found"},
    line("read 1 byte", "a call", 1, bough="bough_read()"),
    line("post to joined", "a canceller", 0.2),
    line("post to joined", "bare futex wakes", 2, (2e4, 1e4)),
    line("post to joined", "bare signal", 1.4, (2e4, 1.5e4)),
    line("memory for each", "pthreads", 2, threads=3000, bough="bough, poll"),
]}
SIZES = [1, 10, 100, 1000, 3000, 10000, 30000]


def work(name, unit, value):
    sizes = [{"median": value(n), "low": value(n) * 0.9, "high": value(n) * 1.1, "times": 3, "threads": n} for n in SIZES]
    return {"name": name, "what": name, "unit": unit, "sizes": sizes}


GROWTH = {"machine": MACHINE, "capped": "", "works": [
    work("start", "ns", lambda n: 1e4),
    work("bare_start", "ns", lambda n: 1e4),
    work("interrupt", "ns", lambda n: 1e5 / n**0.25),
    work("bare_stop", "ns", lambda n: 1e5 / n**0.25),
    work("nested", "ns", lambda n: 2e4),
    work("incidents", "ns", lambda n: 1e3 * (1 + n / 1e4)),
    work("memory", "bytes", lambda n: 2**14),
    work("bare_memory", "bytes", lambda n: 2**13),
]}
GROWTH["works"][4]["sizes"][0]["median"] = None  # as if the machine could not start so many threads


def drawn(results=RESULTS, growth=GROWTH):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "results.json").write_text(json.dumps(results))
        Path(folder, "growth.json").write_text(json.dumps(growth))
        subprocess.run([sys.executable, "-B", SCRIPT, folder, folder], check=True)
        return [Path(folder, name).read_text() for name in ("bench.svg", "growth.svg")]


bench_text, growth_text = drawn()
bench, growth = ET.fromstring(bench_text), ET.fromstring(growth_text)


def texts(svg):
    """(words, x, y, classes)"""
    return [(t.text, float(t.get("x")), float(t.get("y")), (t.get("class") or "").split()) for t in svg.iter(SVG + "text")]


def place(svg, words, nth=0):
    return [t[1:3] for t in texts(svg) if t[0] == words][nth]


def marks(svg):
    """(x, y, classes) of the points."""
    for e in svg.iter():
        shift = re.fullmatch(r"translate\((\S+) (\S+)\)", e.get("transform", ""))
        if shift or e.tag == SVG + "circle":
            at = shift.groups() if shift else (e.get("cx"), e.get("cy"))
            yield float(at[0]), float(at[1]), e.get("class").split()


def mark_in_row(svg, words, nth=0):
    _, y = place(svg, words, nth)
    return [m for m in marks(svg) if abs(m[1] + 4 - y) < 0.1][0]


def near(a, b):
    return abs(a - b) < 0.3


def ratios():
    """a ratio's point is at its number on the axis, in a row with its name, its value and its quartiles"""
    for words, tick, value in ("a load", "0.01", "0.010"), ("a peer", "0.1", "0.10"), ("a call", "1", "1.0"), ("pthreads, 3,000", "2", "2.0"):
        x, y, _ = mark_in_row(bench, words)
        if not near(x, place(bench, tick)[0]):
            yield f"{words} is at {x}, {tick} at {place(bench, tick)[0]}"
        if not any(t[0] == value and near(t[2], y + 4) for t in texts(bench)):
            yield f"{words} has no {value} in its row"
        ranges = [e for e in bench.iter(SVG + "line") if "range" in e.get("class") and near(float(e.get("y1")), y)]
        if not ranges or not float(ranges[0].get("x1")) < x < float(ranges[0].get("x2")):
            yield f"{words} has no quartiles around its point"


def verdicts():
    """faster, slower and neither differ by shape and by colour"""
    shapes = [mark_in_row(bench, words)[2] for words in ("a peer", "a call", "pthreads, 3,000")]
    if shapes != [["c0"], ["cn"], ["c1"]]:
        yield f"the colours are {shapes}"
    if len(set(re.findall(r' d="(M[^"]*z)"', bench_text))) < 3 or "<circle" not in bench_text:
        yield "there are fewer shapes than kinds"


def one():
    """a line through all rows of ratios marks the ratio 1"""
    ones = [e for e in bench.iter(SVG + "line") if e.get("class") == "one"]
    if len(ones) != 1 or not near(float(ones[0].get("x1")), place(bench, "1")[0]):
        yield "there is no line at 1"
    elif not float(ones[0].get("y1")) < place(bench, "a load")[1] < place(bench, "pthreads, 3,000")[1] < float(ones[0].get("y2")):
        yield "the line at 1 does not pass all rows"


def limit():
    """the limit is a line at the time of the bare wakes, through the rows of its group, and its left is shaded"""
    wakes = mark_in_row(bench, "bare futex wakes")
    shades = [e for e in bench.iter(SVG + "rect") if e.get("class") == "floor"]
    if len(shades) != 1 or not near(float(shades[0].get("x")) + float(shades[0].get("width")), wakes[0]):
        return (yield "nothing is shaded up to the limit")
    top, height = float(shades[0].get("y")), float(shades[0].get("height"))
    for words, nth in ("bare futex wakes", 0), ("bare signal, futex wake", 0), ("bough", 0), ("a canceller", 1):
        x, y, _ = mark_in_row(bench, words, nth)
        if not top < y < top + height:
            yield f"{words} is beside the shade"
        if x < wakes[0]:
            yield f"{words} is drawn below the limit, and was measured above it"
    if not near(wakes[0], [t for t in texts(bench) if t[0] == "10 µs" and "tick" in t[3]][0][1]):
        yield "10 µs are not at 10 µs"


def grown():
    """a size's points are above its number, a time's beside its number, and curves of pthreads alone are hollow and dotted"""
    for size in SIZES:
        x = place(growth, f"{size:,}")[0]
        there = sum(near(m[0], x) for m in marks(growth))
        if there != (7 if size == 1 else 8):
            yield f"{there} points above {size}"
    y = place(growth, "10 µs")[1] - 4
    if sum(near(m[1], y) for m in marks(growth)) < 2 * len(SIZES):
        yield "10 µs are not beside 10 µs"
    for name, kind in ("start", False), ("start, bare pthreads", True):
        x, y = place(growth, name)
        if [("hollow" in m[2]) for m in marks(growth) if near(m[0], x - 10) and near(m[1] + 4, y)] != [kind]:
            yield f"{name} has the wrong mark in front"
    if growth_text.count(" bare") < 3:
        yield "curves of pthreads alone are not dotted"


def linear():
    """each of the library's curves has its linear limit: level, from its point among 1,000 to the last size"""
    begin, end = place(growth, "1,000")[0], place(growth, "30,000")[0]
    lines = [e for e in growth.iter(SVG + "line") if "linear" in e.get("class")]
    if len(lines) != 5:
        yield f"there are {len(lines)}"
    for e in lines:
        x1, y1, x2, y2 = (float(e.get(k)) for k in ("x1", "y1", "x2", "y2"))
        css = e.get("class").split()[1]
        if not near(x1, begin) or not near(x2, end) or y1 != y2:
            yield f"{css} goes from {x1}, {y1} to {x2}, {y2}"
        if not any(near(m[0], x1) and near(m[1], y1) and css in m[2] for m in marks(growth)):
            yield f"{css} begins at no point of its curve"


def extent(words, x, classes):
    width = len(words) * (8.7 if "title" in classes else 6.1)  # about the width in Helvetica and DejaVu
    left = x - (width if "end" in classes else width / 2 if {"tick", "mid"} & set(classes) else 0)
    return left, left + width


def elsewhere():
    """The figures of a machine with a long name, and with a limit that is close to a size."""
    machine = {**MACHINE, "cpu": "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "kernel": "Linux 6.8.0-1024-somewhere x86_64"}
    growth = {**copy.deepcopy(GROWTH), "machine": machine}
    for w in growth["works"]:
        w["sizes"][-1]["threads"] = 12345
    return [ET.fromstring(text) for text in drawn({**RESULTS, "machine": machine}, growth)]


def legible():
    """texts are on the page and do not overlap, also with long names"""
    long_bench, capped_growth = elsewhere()
    for name, svg in ("bench", bench), ("growth", growth), ("bench, long", long_bench), ("growth, capped", capped_growth):
        width, height = (float(svg.get(k)) for k in ("width", "height"))
        boxes = [(t[0], *extent(t[0], t[1], t[3]), t[2]) for t in texts(svg)]
        for words, left, right, y in boxes:
            if left < 0 or right > width or not 10 < y < height:
                yield f"{name}: {words!r} leaves the page: {left} to {right}, at {y}"
        for i, a in enumerate(boxes):
            for b in boxes[i + 1:]:
                if abs(a[3] - b[3]) < 11 and a[1] < b[2] and b[1] < a[2]:
                    yield f"{name}: {a[0]!r} and {b[0]!r} overlap"


def looks():
    """each colour has a dark variant, in one rule that the site can remove"""
    rule = re.compile(r"@media (?:screen and )?\(prefers-color-scheme: dark\) \{((?:[^{}]*\{[^{}]*\})*)\s*\}")  # as tools/site/build.py
    for name, text in ("bench", bench_text), ("growth", growth_text):
        dark = rule.search(text)
        used = {c for e in ET.fromstring(text).iter() for c in (e.get("class") or "").split() if re.fullmatch(r"c\w|page|floor|hollow", c)}
        yield from (f"{name}: {c} is not in the dark look" for c in sorted(used) if not dark or f".{c} {{" not in dark.group(1))


def absent():
    """a size that was not measured is left out, and the machine's limit is named"""
    if any("an absent one" in t[0] for t in texts(bench)):
        yield "a peer that is not there is drawn"
    capped = copy.deepcopy(GROWTH)
    capped["capped"] = "capped at 900 of 1000 threads: pids.max is 1400"
    for w in capped["works"]:
        w["sizes"] = w["sizes"][:3]
    few, text = drawn({**RESULTS, "lines": RESULTS["lines"][:1]}, capped)
    if "pids.max is 1400" not in text or "a load" not in few:
        yield "the limit or the only line is not in the picture"


def format_of_the_bench():
    """the bench writes each member that is read here"""
    for source, data in ("report.c", RESULTS["lines"][0]), ("growth.c", {**GROWTH["works"][0], **GROWTH["works"][0]["sizes"][0]}), \
            ("json.c", MACHINE):
        text = (root / "bench" / source).read_text()
        yield from (f"bench/{source} writes no {key}" for key in data if f'"{key}"' not in text and f'\\"{key}\\"' not in text)
    names = set(re.findall(r'^    \{"(\w+)", "', (root / "bench/growth.c").read_text(), flags=re.M))
    if names != {w["name"] for w in GROWTH["works"]}:
        yield f"bench/growth.c measures {sorted(names)}"


def missing():
    """without the data the script names the missing file"""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([sys.executable, "-B", SCRIPT, folder, folder], capture_output=True, text=True)
    if run.returncode == 0 or f"{folder}/results.json is missing" not in run.stderr:
        yield run.stderr


checks.run([ratios, verdicts, one, limit, grown, linear, legible, looks, absent, format_of_the_bench, missing])
