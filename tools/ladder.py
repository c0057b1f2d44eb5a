# SPDX-License-Identifier: MIT
"""ladder.py [--check]: draws docs/ladder.svg from the table in src/ladder/policy.c, or checks that it is current."""
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
picture = root / "docs/ladder.svg"

RUNGS = ["flag", "handler", "final handler", "close", "exit", "kill"]
SYMBOLS = ["FLAG", "HANDLER", "FINAL", "CLOSE", "EXIT", "KILL"]
WORDS = {
    "BO_TIME_IS_OVER": "its time is over",
    "BO_AGAIN": "a second event",
    "BO_RETURNED": "it returned",
    "BO_TO_RESUME": "verdict: resume",
    "BO_TO_PROMOTE": "verdict: promote",
    "BO_FAULT": "a fault, a jump",
    "BO_UNSAFE": "not safe here",
    "BO_DONE": "done",
}
STEP, LEFT, WIDTH, HEIGHT = 96, 40, 170, 40


def table():
    """{rung: {verb: [happening]}} in the order of the source."""
    text = (root / "src/ladder/policy.c").read_text()
    body = text[text.index("table[BOUGH_RUNGS][BO_HAPPENINGS]"):]
    body = body[:body.index("};\n")]
    found = {n: {} for n in range(1, 7)}
    for symbol, row in re.findall(r"\[BOUGH_RUNG_(\w+)\] = \{(.*?)\}", body, re.S):
        for what, verb in re.findall(r"\[(BO_\w+)\] = (\w+)", row):
            found[SYMBOLS.index(symbol) + 1].setdefault(verb, []).append(WORDS[what])
    return found


def line(x, y, text, css=""):
    return f'<text x="{x}" y="{y}"{css}>{text}</text>'


def rung(number, verbs):
    """A box, the arrow that leads up from it, and the loops and the end beside it."""
    y = 40 + (6 - number) * STEP
    yield f'<rect x="{LEFT}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    yield line(LEFT + 14, y + 25, f"{number} &#160; {RUNGS[number - 1]}", ' class="name"')
    if "UP" in verbs:
        x = LEFT + WIDTH // 2
        yield f'<path d="M{x} {y} V{y - STEP + HEIGHT + 4}" marker-end="url(#head)"/>'
        yield line(x + 10, y - 22, ", ".join(verbs["UP"][:3]) + ("," if len(verbs["UP"]) > 3 else ""))
        if len(verbs["UP"]) > 3:
            yield line(x + 10, y - 7, ", ".join(verbs["UP"][3:]))
    beside = [(verb, verbs[verb]) for verb in ("RENEW", "HOLD", "OVER") if verb in verbs]
    says = {"RENEW": "the flag's time again", "HOLD": "until then, and the flag's time", "OVER": "over: published as lost"}
    for i, (verb, what) in enumerate(beside):
        at = y + 14 + 18 * i
        yield f'<path d="M{LEFT + WIDTH} {at} h26" marker-end="url(#head)"/>'
        yield line(LEFT + WIDTH + 38, at + 4, f"{', '.join(what)}: {says[verb]}")


def draw():
    parts = [part for number, verbs in table().items() for part in rung(number, verbs)]
    height = 40 + 6 * STEP + 20
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 {height}" font-family="sans-serif" font-size="13">',
        "<!-- SPDX-License-Identifier: MIT. Drawn by tools/ladder.py from src/ladder/policy.c. -->",
        "<style>rect,path{fill:none;stroke:#777;stroke-width:1.5}text{fill:#777}.name{font-weight:bold}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8" /></marker></defs>',
        *parts,
        line(LEFT, height - 30, "An incident ends at any rung when its target has ended or its record was cleared."),
        line(LEFT, height - 12, "Rungs with nothing to run, and those above the kind's ceiling, are skipped."),
        "</svg>",
    ]) + "\n"


if sys.argv[1:] == ["--check"]:
    if not picture.exists() or picture.read_text() != draw():
        sys.exit("docs/ladder.svg differs from the table in src/ladder/policy.c: run tools/ladder.py")
else:
    picture.write_text(draw())
