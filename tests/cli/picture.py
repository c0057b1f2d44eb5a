# SPDX-License-Identifier: MIT
"""picture.py DRAW: checks places, texts and colours in the drawings that DRAW, built from picture.c, makes of
recordings."""
import html.parser
import itertools
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

draw = os.path.abspath(sys.argv[1])
SVG = "{http://www.w3.org/2000/svg}"
SCENARIOS = ("usual", "many", "hostile", "deep", "zero", "empty")
LEFT, WIDTH = 250, 1006  # the plot's left edge and width, in pixels
S = 10**9


@lru_cache(None)
def made(scenario, form, *more):
    done = subprocess.run([draw, scenario, form, *more], capture_output=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{scenario}.{form}: {done.returncode} {done.stderr.decode()}")
    return done.stdout.decode()


@lru_cache(None)
def svg(scenario):
    return ElementTree.fromstring(made(scenario, "svg"))


def classes(element):
    return element.get("class", "").split()


def with_class(element, name):
    return [e for e in element.iter() if name in classes(e)]


def moved(element):
    return [float(n) for n in re.findall(r"-?[\d.]+", element.get("transform", "0 0"))]


class Row:
    def __init__(self, element):
        self.element, self.y, self.height = element, moved(element)[1], float(element.get("data-h"))
        texts = [e.text for e in element.findall(f"{SVG}g[@class='name']/{SVG}text")]
        self.name, self.kind = texts[0] if texts else "", classes(element)[1]


def rows(scenario):
    return [Row(e) for e in with_class(svg(scenario), "row")]


def x_of(ns, begin=0, end=10 * S):
    return LEFT + (ns - begin) / (end - begin) * WIDTH


# ---- places --------------------------------------------------------------------------------------------------------


def lanes():
    """each thread has a lane, under its branch's, and no two lanes overlap"""
    names = [(r.kind, r.name) for r in rows("usual")]
    clients, workers = [("thread", f"client {i}") for i in range(1, 6)], [("thread", f"worker {i}") for i in range(1, 4)]
    want = [("outside", "outside, timers"), ("process", "server --port 8080"), ("thread", "main"), ("branches", "accept"), *clients[:2],
            ("branches", "workers"), *workers, *clients[2:], ("thread", "stubborn"), ("thread", "bough-ticker"),
            ("process", "server: helper"), ("thread", "helper")]
    if names != want:
        yield f"the lanes are {names}"
    for scenario in SCENARIOS:
        for a, b in itertools.pairwise(rows(scenario)):
            if a.y + a.height != b.y:
                yield f"{scenario}: {a.name} ends at {a.y + a.height}, {b.name} begins at {b.y}"


def bars_of(row):
    """(left, top, right, bottom, group) of the calls, sections, waits and branches"""
    for group in row.element.iter(f"{SVG}g"):
        if "b" in classes(group) and "alive" not in classes(group):
            rect = group.find(f"{SVG}rect")
            x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
            yield x, y, x + w, y + h, group


def bars():
    """bars are at their times, inside their lanes, and do not cover each other"""
    for scenario in SCENARIOS:
        end = 1000 if scenario == "zero" else 10 * S
        for row in rows(scenario):
            found = list(bars_of(row))
            for left, top, right, bottom, group in found:
                t, d = int(group.get("data-t")), int(group.get("data-d"))
                if abs(left - x_of(t, 0, end)) > 0.02 or (right - left > 1.51 and abs(right - x_of(t + d, 0, end)) > 0.02):
                    yield f"{scenario}: {row.name}: a bar at {left} to {right} is of {t} to {t + d}"
                if top < 0 or bottom > row.height:
                    yield f"{scenario}: {row.name}: a bar is outside of its lane"
            for a, b in itertools.combinations(found, 2):
                if a[0] < b[2] - 0.02 and b[0] < a[2] - 0.02 and a[1] < b[3] and b[1] < a[3]:
                    yield f"{scenario}: {row.name}: two bars overlap at {b[0]}"


def nested():
    """a call within a section is in the line under it, and a bar without a recorded end is drawn open"""
    by_name = {r.name: r for r in rows("usual")}
    found = {g.get("data-l"): (top, g) for _, top, _, _, g in bars_of(by_name["client 1"])}
    if not found["critical(update)"][0] < found["fsync"][0]:
        yield f"{found}"
    stubborn = [g for *_, g in bars_of(by_name["stubborn"])]
    if not with_class(stubborn[0], "torn") or "open" not in classes(stubborn[0]):
        yield "the call that did not end looks as others"
    if with_class(found["fsync"][1], "torn"):
        yield "a call that ended is drawn open"


def arrows_of(scenario):
    """(time, from, to, x, y of the start, y of the tip) of the interrupts"""
    for group in with_class(svg(scenario), "arrow"):
        if group.get("data-t"):
            dot, tip = group.find(f"{SVG}circle"), with_class(group, "tip")[0].get("d")
            tip_x, tip_y = re.match(r"M([\d.]+) ([\d.]+)l", tip).groups()
            yield int(group.get("data-t")), int(group.get("data-from")), int(group.get("data-to")), float(dot.get("cx")), float(dot.get("cy")), float(tip_x), float(tip_y)


def arrows():
    """an arrow leads from the lane that posted to the lane of the target, at the time of the post"""
    for scenario in SCENARIOS:
        all_rows, end = rows(scenario), 1000 if scenario == "zero" else 10 * S
        for t, source, target, x, y, tip_x, tip_y in arrows_of(scenario):
            a, b = all_rows[source], all_rows[target]
            if abs(x - x_of(t, 0, end)) > 0.02 or abs(tip_x - x) > 0.02:
                yield f"{scenario}: an arrow of {t} is at {x} and {tip_x}"
            if a is b and not y < tip_y:
                yield f"{scenario}: an arrow in {a.name} leads from {y} up to {tip_y}"
            if not a.y < y < a.y + a.height or not b.y <= tip_y <= b.y + b.height:
                yield f"{scenario}: an arrow from {a.name} to {b.name} has its ends at {y} and {tip_y}"
    names = [r.name for r in rows("usual")]
    found = {(t / S, names[a], names[b]) for t, a, b, *_ in arrows_of("usual")}
    want = {(3, "outside, timers", "main"), (8, "main", "main"), (9.2, "outside, timers", "stubborn"), (7, "main", "accept"), (6, "main", "stubborn")}
    want |= {(6.2 + i / 5, "client 2", f"worker {i + 1}") for i in range(3)}
    if {(round(t, 1), a, b) for t, a, b in found} != {(round(t, 1), a, b) for t, a, b in want}:
        yield f"the arrows are {found}"


def rungs():
    """an incident has a step for each rung, with its number, and a higher rung is taller"""
    row = next(r for r in rows("usual") if r.name == "accept")
    steps = with_class(row.element, "step")
    texts = ["".join(s.itertext()).split()[0] for s in steps]
    heights = [float(s.find(f"{SVG}rect").get("height")) for s in steps]
    if texts != list("123456") or heights != sorted(set(heights)):
        yield f"{texts}, {heights}"
    stubborn = next(r for r in rows("usual") if r.name == "stubborn")
    both = [[("".join(s.itertext()) or "?")[0] for s in with_class(i, "step")] for i in with_class(stubborn.element, "incident")]
    if both != [list("12345"), list("16")]:
        yield f"two kinds of interrupts at one thread have the rungs {both}"
    for number, step in enumerate(steps):
        if abs(float(step.find(f"{SVG}rect").get("x")) - x_of((7 + 0.4 * number) * S)) > 0.02:
            yield f"rung {number + 1} is at {step.find(f'{SVG}rect').get('x')}"


def failure():
    """the first failure is marked, with its text, in its lane and over all lanes"""
    first = next(e for e in svg("usual").iter() if e.get("id") == "first")
    if "Connection reset by peer (ECONNRESET)" not in "".join(first.itertext()) or f"M{x_of(5 * S):.2f} " not in first.find(f"{SVG}path").get("d"):
        yield ElementTree.tostring(first).decode()
    for scenario in ("usual", "many", "hostile", "zero"):
        if len(with_class(svg(scenario), "is-first")) != 1:
            yield f"{scenario}: {len(with_class(svg(scenario), 'is-first'))} first failures"


# ---- texts ---------------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attributes]


def hostile():
    """no text of a recording becomes markup, a control character, or a change of direction"""
    for scenario in SCENARIOS:
        for form in ("svg", "html"):
            text = made(scenario, form)
            bad = re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", text)
            if bad:
                yield f"{scenario}.{form} has {bad.group()!r}"
            page = Page(text)
            if page.tags.count("script") != (form == "html") or page.tags.count("svg") != 1:
                yield f"{scenario}.{form}: {page.tags.count('script')} scripts, {page.tags.count('svg')} drawings"
            yield from (f"{scenario}.{form}: {a}" for a in page.attributes
                        if a[1].startswith("on") or a[1] in ("src", "href", "xlink:href") or "http" in (a[2] or "").replace("http://www.w3.org/", "") and a[1] != "http-equiv")


def many():
    """5,000 threads: as many lanes as allowed, rows that count all others, and a file that stays small"""
    shown = [r for r in rows("many") if r.kind == "thread"]
    rest = [r for r in rows("many") if r.kind == "rest"]
    hidden = [int(re.search(r"([\d,]+) more threads", "".join(r.element.itertext())).group(1).replace(",", "")) for r in rest]
    if len(shown) + sum(hidden) != 5001 or not 100 <= len(shown) <= 150 or len(rest) != 2:
        yield f"{len(shown)} lanes and {hidden}"
    if "of branch workers" not in "".join(rest[0].element.itertext()):
        yield "".join(rest[0].element.itertext())
    if "worker 1233" not in {r.name for r in shown}:
        yield "the thread that failed first is not shown"
    for scenario, form in itertools.product(SCENARIOS, ("svg", "html")):
        if len(made(scenario, form)) > 3 << 20:
            yield f"{scenario}.{form} has {len(made(scenario, form))} bytes"
    few = ElementTree.fromstring(made("many", "svg", "10"))
    if len(with_class(few, "thread")) > 11:
        yield f"--lanes 10 shows {len(with_class(few, 'thread'))}"


# ---- colours -------------------------------------------------------------------------------------------------------


def rules(style):
    """[(selectors, {property: value})]"""
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", style, flags=re.S)):
        yield [s.strip() for s in selectors.split(",")], dict(re.findall(r"([\w-]+):\s*([^;]+?)\s*(?:;|$)", body))


def fills(dark):
    """selector -> fill, as one scheme has it"""
    style = svg("usual").find(f"{SVG}style").text
    light, _, rest = style.partition("@media")
    found = {}
    for text in (light, rest.partition("{")[2]) if dark else (light,):
        for selectors, properties in rules(text):
            found.update({s: properties["fill"] for s in selectors if "fill" in properties})
    return found


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colours():
    """in light and dark, each text has a contrast of at least 4.5 to its background"""
    for dark in (False, True):
        fill = fills(dark)
        pairs = [(f".{k} text", f".{k} rect") for k in ("call", "section", "scope")] + [(".branch text", ".branch rect"), (".gil text", ".hatch-a"), (".gil text", ".hatch-b")]
        pairs += [(s, band) for s in ("text", ".lane", ".dim", ".note") for band in (".page", ".process > .band", ".branches > .band")]
        pairs += [(s, ".page") for s in (".subtitle", ".warning", ".key", ".tick", ".over", "text.failure", "text.first", ".more text")]
        pairs += [(".r6 text" if n == 6 else ".step text", f".r{n} rect") for n in range(1, 7)]
        for text, under in pairs:
            if (got := contrast(fill[text], fill[under])) < 4.5:
                yield f"{'dark' if dark else 'light'}: {text} {fill[text]} on {under} {fill[under]}: {got:.2f}"


# ---- trace events --------------------------------------------------------------------------------------------------


def events():
    """the trace events are JSON, each slice has its time, and each flow begins and ends on the right track"""
    for scenario in SCENARIOS:
        made_of = json.loads(made(scenario, "json"))["traceEvents"]
        for e in made_of:
            if not {"ph", "pid", "tid", "name"} <= e.keys() or (e["ph"] != "M" and e["ts"] < 0) or (e["ph"] == "X" and e["dur"] < 0):
                yield f"{scenario}: {e}"
        ends = {phase: {e["id"] for e in made_of if e["ph"] == phase} for phase in "sf"}
        if ends["s"] != ends["f"]:
            yield f"{scenario}: flows begin {ends['s']} and end {ends['f']}"
    usual = json.loads(made("usual", "json"))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in usual if e["name"] == "thread_name" and e["pid"] == 4711}
    flows = {(names[s["tid"]].split(" (")[0], names[f["tid"]].split(" (")[0]) for s in usual for f in usual
             if s["ph"] == "s" and f["ph"] == "f" and s["id"] == f["id"]}
    if flows != {("client 2", f"worker {i}") for i in (1, 2, 3)}:
        yield f"{flows}"
    if not any(e["ph"] == "X" and e["name"] == "flock" and e["ts"] == 4e6 and e["args"]["argument"] == "/var/lib/data/lock" for e in usual):
        yield "no slice of flock at 4 s"


checks.run([lanes, bars, nested, arrows, rungs, failure, hostile, many, colours, events])
