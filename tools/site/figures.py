# SPDX-License-Identifier: MIT
"""figures.py [BENCH [DOCS]]: draws DOCS/bench.svg and DOCS/growth.svg from the files of `make bench` in BENCH."""
import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
WIDTH, LEFT, RIGHT = 700, 224, 628  # of the page, and of a plot: names on its left, numbers on its right
ROW, HEAD = 19, 27

# The colours, as in cli/picture/style.css, are those of Okabe and Ito. Each kind also has a shape or a dash.
STYLE = """
text { font: 12px Inter, "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #1b2227 }
.page { fill: #ffffff }
.title { font-size: 17px; font-weight: 600 }
.head { font-weight: 600 }
.note, .tick { fill: #55626b }
.tick, .mid { text-anchor: middle }
.end { text-anchor: end }
.grid { stroke: #5d6b75; stroke-opacity: .16 }
.one { stroke: #1b2227; stroke-width: 1.4 }
.floor { fill: #5d6b75; fill-opacity: .13; stroke: none }
.limit { stroke: #1b2227; stroke-width: 1.6 }
.line { fill: none; stroke-width: 2 }
.bare { stroke-dasharray: 2 3; stroke-width: 1.6 }
.linear { stroke-dasharray: 8 4; stroke-width: 1.2 }
.range { stroke-width: 2.2 }
.c0 { stroke: #0072b2; fill: #0072b2 }
.c1 { stroke: #c04a00; fill: #c04a00 }
.c2 { stroke: #00795a; fill: #00795a }
.c3 { stroke: #a04f7e; fill: #a04f7e }
.cn { stroke: #586670; fill: #586670 }
.line.c0, .line.c1, .line.c2, .line.c3 { fill: none }
.hollow { fill: #ffffff; stroke-width: 1.6 }
@media screen and (prefers-color-scheme: dark) {
  text { fill: #e4e9ec }
  .page { fill: #14171a }
  .note, .tick { fill: #a3b0b8 }
  .grid { stroke: #b5c3cc }
  .floor { fill: #b5c3cc }
  .one, .limit { stroke: #e4e9ec }
  .c0 { stroke: #56b4e9; fill: #56b4e9 }
  .c1 { stroke: #ff9a61; fill: #ff9a61 }
  .c2 { stroke: #2cc394; fill: #2cc394 }
  .c3 { stroke: #e39ac3; fill: #e39ac3 }
  .cn { stroke: #a3b0b8; fill: #a3b0b8 }
  .hollow { fill: #14171a }
}
"""

# ---- numbers --------------------------------------------------------------------------------------------------------


def digits(value):
    """Two significant digits, three from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def plain(value):
    """A number as an axis shows it."""
    return f"{value:,g}"


def with_unit(value, units, form):
    scale, unit = next(((s, u) for s, u in units if value >= s), units[-1])
    return f"{form(value / scale)} {unit}"


def time_text(ns, form=digits):
    return with_unit(ns, [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")], form)


def bytes_text(size, form=digits):
    return with_unit(size, [(2**20, "MiB"), (2**10, "KiB"), (1, "bytes")], form)


def time_tick(ns):
    return time_text(ns, plain)


def bytes_tick(size):
    return bytes_text(size, plain)


class Log:
    """A logarithmic axis over all values, with ticks at 1, 2, 5 or only at 1 of each power of `base`."""

    def __init__(self, values, begin, end, steps=(1, 2, 5), base=10):
        values = [v for v in values if v > 0]
        powers = range(math.floor(math.log(min(values), base)) - 1, math.ceil(math.log(max(values), base)) + 1)
        every = sorted(step * float(base)**p for p in powers for step in steps)
        self.low = max(t for t in every if t <= min(values) * 1.000001)
        self.high = min((t for t in every if t >= max(values) * 0.999999), default=every[-1])
        self.ticks = [t for t in every if self.low <= t <= self.high]
        self.begin, self.end = begin, end

    def __call__(self, value):
        part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return round(self.begin + part * (self.end - self.begin), 1)


# ---- drawing --------------------------------------------------------------------------------------------------------


class Drawing:
    def __init__(self, title, machine, notes):
        self.parts, self.title = [], title
        self.text(20, 30, title, "title")
        about = f"{machine['cpu']}, {machine['usable']} cores, {machine['virtualized']}"
        under = f"{machine['kernel'].rsplit(' ', 1)[0]}; {machine['libc']}; load {machine['load']:.1f} before the start"
        self.desc = f"{about}; {under}"
        self.y = 50
        for note in [self.desc] if len(self.desc) < 105 else [about, under]:
            self.text(20, self.y, note, "note")
            self.y += 18
        for note in notes:
            self.text(20, self.y, note, "note")
            self.y += 17

    def add(self, part):
        self.parts.append(part)

    def text(self, x, y, text, css=""):
        self.add(f'<text x="{x}" y="{y}"{css and f" class={chr(34)}{css}{chr(34)}"}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, css):
        self.add(f'<line class="{css}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')

    def mark(self, shape, x, y, css):
        paths = {
            "square": "M-4 -4h8v8h-8z",
            "triangle": "M0 -5.2L5 4H-5z",
            "diamond": "M0 -5.5L5.5 0L0 5.5L-5.5 0z",
            "bar": "M-1.5 -7h3v14h-3z",
        }
        if shape == "circle":
            self.add(f'<circle class="{css}" cx="{x}" cy="{y}" r="4.4"/>')
        else:
            self.add(f'<path class="{css}" transform="translate({x} {y})" d="{paths[shape]}"/>')

    def svg(self):
        height = self.y + 12
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            'aria-labelledby="t d">',
            "<!-- SPDX-License-Identifier: MIT. Drawn by tools/site/figures.py. -->",
            f'<title id="t">{escape(self.title)}</title>',
            f'<desc id="d">{escape(self.desc)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}"/>',
            *self.parts,
            "</svg>\n",
        ])


def rows_axis(drawing, axis, top, bottom, form):
    """Draws the grid, before the rows, so that they cover it. Ticks are numbered at both ends."""
    for tick in axis.ticks:
        x = axis(tick)
        drawing.line(x, top, x, bottom, "one" if form is plain and tick == 1 else "grid")
        for y in (top - 6, bottom + 15):
            drawing.text(x, y, form(tick), "tick")


def row(drawing, axis, y, name, value, low, high, shape, css, text):
    drawing.text(LEFT - 12, y + 4, name, "end")
    drawing.line(axis(low), y, axis(high), y, f"range {css}")
    drawing.mark(shape, axis(value), y, css)
    drawing.text(RIGHT + 12, y + 4, text)


# ---- the table's ratios ---------------------------------------------------------------------------------------------

RATIOS = ["check", "read 1 byte", "post to joined", "post to joined, each cpu computes", "start and join", "interrupt and join",
          "memory for each"]
FLOORS = {"bare futex wakes": "bare futex wakes", "bare signal": "bare signal, futex wake"}
POSTS = {
    "post to joined": "both processors idle, as the scheduler places the threads",
    "post to joined, one cpu": "all threads on one processor",
    "post to joined, each cpu computes": "other threads compute on each processor",
}


def ratio_groups(lines):
    for what in RATIOS:
        rows = [r for r in lines if r["what"] == what and "ratio" in r and r["against"] not in FLOORS and "control" not in r["bough"]]
        for bough in dict.fromkeys(r["bough"] for r in rows):
            yield f"{what}: {bough}", [r for r in rows if r["bough"] == bough]


def ratio_name(line):
    return f"{line['against']}, {line['threads']:,}" if line["threads"] else line["against"]


def verdict(line):
    """The shape and the colour of a ratio: faster, slower, or no clear difference."""
    if line["high"] < 1:
        return "circle", "c0"
    return ("triangle", "c1") if line["low"] > 1 else ("diamond", "cn")


def key(drawing, x, y, entries):
    for shape, css, text in entries:
        drawing.mark(shape, x, y - 4, css)
        drawing.text(x + 10, y, text)
        x += 22 + 6.3 * len(text)


def draw_ratios(drawing, lines):
    groups = list(ratio_groups(lines))
    every = [r[k] for _, rows in groups for r in rows for k in ("low", "high")]
    axis = Log([*every, 1], LEFT, RIGHT)
    key(drawing, 26, drawing.y + 4, [("circle", "c0", "bough is faster or smaller"), ("diamond", "cn", "the quartiles contain 1"),
                                    ("triangle", "c1", "bough is slower or larger")])
    top = drawing.y + 34
    bottom = top + sum(HEAD + ROW * len(rows) for _, rows in groups) + 2
    rows_axis(drawing, axis, top, bottom, plain)
    y = top
    for title, rows in groups:
        drawing.text(20, y + 19, title, "head")
        y += HEAD
        for line in rows:
            shape, css = verdict(line)
            row(drawing, axis, y + 9, ratio_name(line), line["ratio"], line["low"], line["high"], shape, css, digits(line["ratio"]))
            y += ROW
    drawing.y = bottom + 52


# ---- post to joined: the times ---------------------------------------------------------------------------------------


def post_rows(lines, what):
    """(name, median, low, high), the floors first."""
    there = [r for r in lines if r["what"] == what and "ratio" in r]
    peers = [(r["against"], r["against_value"], r["against_low"], r["against_high"]) for r in there]
    peers.sort(key=lambda p: p[0] not in FLOORS)
    bough = [("bough", r["bough_value"], r["bough_low"], r["bough_high"]) for r in there[:1]]
    floors = sum(p[0] in FLOORS for p in peers)
    return peers[:floors] + bough + peers[floors:]


def draw_limits(drawing, axis, top, rows):
    """Draws the limits of a group, before its rows, so that they cover them."""
    bottom = top + ROW * len(rows)
    for name, median, _, _ in rows:
        x = axis(median)
        if name == "bare futex wakes":
            drawing.add(f'<rect class="floor" x="{LEFT}" y="{top}" width="{round(x - LEFT, 1)}" height="{bottom - top}"/>')
        if name in FLOORS:
            drawing.line(x, top, x, bottom, "limit" if name == "bare futex wakes" else "limit linear")


def draw_posts(drawing, lines):
    groups = [(title, post_rows(lines, what)) for what, title in POSTS.items()]
    groups = [g for g in groups if g[1]]
    if not groups:
        return
    axis = Log([v for _, rows in groups for r in rows for v in r[1:]], LEFT, RIGHT)
    drawing.text(20, drawing.y, "From the interrupt of a thread in read() until it is joined: the times", "title")
    drawing.text(20, drawing.y + 20, "Shaded: less than two bare futex wakes, one there and one back, of two threads that do nothing else.", "note")
    drawing.text(20, drawing.y + 37, "A signal is needed to end a read(); peers without one poll a second descriptor, or wait for a condition.", "note")
    top = drawing.y + 68
    bottom = top + sum(HEAD + ROW * len(rows) for _, rows in groups) + 2
    rows_axis(drawing, axis, top, bottom, time_tick)
    y = top
    for title, rows in groups:
        drawing.text(20, y + 19, title, "head")
        y += HEAD
        draw_limits(drawing, axis, y, rows)
        for name, median, low, high in rows:
            shape, css = ("bar", "cn") if name in FLOORS else ("circle", "c0") if name == "bough" else ("square", "c1")
            row(drawing, axis, y + 9, FLOORS.get(name, name), median, low, high, shape, css, time_text(median))
            y += ROW
    drawing.y = bottom + 22


def draw_bench(data):
    drawing = Drawing("What bough costs, beside its peers", data["machine"],
                      ["Ratios within one run: bough's time or memory over the other's, the median and the quartiles."])
    draw_ratios(drawing, data["lines"])
    draw_posts(drawing, data["lines"])
    return drawing.svg()


# ---- growth ----------------------------------------------------------------------------------------------------------

CURVES = {  # name: shape, colour, whether it measures pthreads alone, the label at the curve's end
    "start": ("circle", "c0", False, "start"),
    "bare_start": ("circle", "c0", True, "start, bare pthreads"),
    "interrupt": ("square", "c1", False, "interrupt and join"),
    "bare_stop": ("square", "c1", True, "end of a pipe, pthreads"),
    "nested": ("diamond", "c2", False, "the same, nested"),
    "incidents": ("triangle", "c3", False, "an overdue incident"),
    "memory": ("circle", "c0", False, "a blocked child"),
    "bare_memory": ("circle", "c0", True, "a blocked pthread"),
}
FROM = 1000  # threads: the linear limit begins here, where constant costs no longer count
PLOT_LEFT, PLOT_RIGHT = 66, 530


def points(work):
    return [s for s in work["sizes"] if s["median"] is not None and s["median"] > 0]


def apart(places, distance):
    """The places, moved apart as little as possible so that all are at least `distance` apart."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = list(places)
    for before, after in zip(order, order[1:]):
        moved[after] = max(moved[after], moved[before] + distance)
    excess = max(0, moved[order[-1]] - max(places) - distance) if order else 0
    return [round(p - excess / 2, 1) for p in moved]


def draw_curve(drawing, work, across, up):
    shape, css, bare, _ = CURVES[work["name"]]
    at = points(work)
    path = " L".join(f"{across(p['threads'])} {up(p['median'])}" for p in at)
    drawing.add(f'<path class="line {css}{" bare" if bare else ""}" d="M{path}"/>')
    start = [p for p in at if p["threads"] == FROM]
    if start and not bare and at[-1]["threads"] > FROM:
        y = up(start[0]["median"])
        drawing.line(across(FROM), y, across(at[-1]["threads"]), y, f"linear {css}")
    for p in at:
        x = across(p["threads"])
        drawing.line(x, up(p["low"]), x, up(p["high"]), css)
        drawing.mark(shape, x, up(p["median"]), f"{css} hollow" if bare else css)


def draw_panel(drawing, works, title, height, form, up_base, steps):
    works = [w for w in works if points(w)]
    if not works:
        return
    drawing.text(20, drawing.y + 8, title, "head")
    top, bottom = drawing.y + 24, drawing.y + 24 + height
    sizes = sorted({p["threads"] for w in works for p in points(w)})
    across = Log([*sizes, 10], PLOT_LEFT, PLOT_RIGHT, (1, 3))
    up = Log([p[k] for w in works for p in points(w) for k in ("median", "low", "high")], bottom, top, steps, up_base)
    for tick in up.ticks:
        drawing.line(PLOT_LEFT, up(tick), PLOT_RIGHT, up(tick), "grid")
        drawing.text(PLOT_LEFT - 8, up(tick) + 4, form(tick), "note end")
    last = math.inf
    for size in reversed(sizes):  # the last size is the machine's limit, which may be close to the size before it
        drawing.line(across(size), top, across(size), bottom, "grid")
        if last - across(size) > 44:
            last = across(size)
            drawing.text(last, bottom + 17, f"{size:,}", "tick")
    for work in works:
        draw_curve(drawing, work, across, up)
    places = apart([up(points(w)[-1]["median"]) for w in works], 15)
    for work, y in zip(works, places):
        shape, css, bare, words = CURVES[work["name"]]
        x = across(points(work)[-1]["threads"]) + 18
        drawing.mark(shape, x, y, f"{css} hollow" if bare else css)
        drawing.text(x + 10, y + 4, words)
    drawing.y = bottom + 42


def draw_growth(data):
    notes = ["For each thread, among so many (below the plot): medians and quartiles.",
             "Hollow, dotted: pthreads alone, the kernel's and the C library's part. Dashed: the linear limit, a thread's",
             "time among 1,000: above it, the total grows faster than the number of threads."]
    drawing = Drawing("How it grows with the number of threads", data["machine"], notes)
    drawing.y += 8
    works = [w for w in data["works"] if w["name"] in CURVES]
    draw_panel(drawing, [w for w in works if w["unit"] == "ns"], "time for each thread", 330, time_tick, 10, (1, 2, 5))
    draw_panel(drawing, [w for w in works if w["unit"] == "bytes"], "memory for each thread, resident and page tables", 170, bytes_tick,
               2, (1,))
    if data["capped"]:
        drawing.text(20, drawing.y - 8, data["capped"][0].upper() + data["capped"][1:], "note")
        drawing.y += 12
    drawing.y -= 8
    return drawing.svg()


FIGURES = {"bench.svg": ("results.json", draw_bench), "growth.svg": ("growth.json", draw_growth)}


def main(bench=ROOT / "build-bench/bench", docs=ROOT / "docs"):
    for figure, (name, draw) in FIGURES.items():
        path = Path(bench, name)
        if not path.exists():
            sys.exit(f"figures.py: {path} is missing: run `make bench`")
        Path(docs, figure).write_text(draw(json.loads(path.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
