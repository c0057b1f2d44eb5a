# SPDX-License-Identifier: MIT
"""docs.py ROOT BUILD CC...: checks rules, tests, links, manual pages, examples, versions and the length of lines."""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

root, build, cc = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), sys.argv[3:]
sys.path.insert(0, str(root / "tools"))
sys.dont_write_bytecode = True
import calls  # noqa: E402: the generator of the drop-ins' pages
import checks  # noqa: E402

RULES = 48
IN_PYTHON = range(42, 48)  # these have tests in Python; 46 and 47 in both
semantics = root / "docs/semantics.md"
pages = sorted((root / "man").glob("*.[137]"))
headers = [root / "include/bough.h", *sorted((root / "include/bough").glob("*.h"))]


def documents():
    """The documents, without build folders, fetched code, and docs/site, whose links are those of the site."""
    own = {"bench", "cli", "docs", "examples", "include", "man", "python", "src", "tests", "tools"}
    return [*sorted(root.glob("*.md")), *sorted(p for d in own for p in (root / d).rglob("*.md") if root / "docs/site" not in p.parents)]


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)


# ---- the rules -----------------------------------------------------------------------------------------------------


def sections():
    """number -> text, in the file's order."""
    parts = re.split(r"^(?=# |## )", semantics.read_text(), flags=re.M)
    found = [(re.match(r"## Rule (\d+): \S", p), p) for p in parts]
    return [(int(m.group(1)), p) for m, p in found if m]


def each_rule():
    """docs/semantics.md has a heading for each rule, in order"""
    have = [n for n, _ in sections()]
    if have != list(range(1, RULES + 1)):
        yield f"the rules are {have}, not 1 to {RULES}"


def rules_and_tests():
    """each rule links to its tests: a C rule to all with its number, a Python rule to one in python/tests"""
    there = {p.name for p in (root / "tests/semantics").glob("rule_*.c")}
    for number, text in sections():
        names = {n for n in there if n.startswith(f"rule_{number:02}_")}
        linked = re.findall(r"\(\.\./tests/([\w/]+\.c)\)", text)
        rules = {link.removeprefix("semantics/") for link in linked if link.startswith("semantics/")}
        if rules != names or (number not in IN_PYTHON and not linked):
            yield f"rule {number} links to {linked}"
        there -= names
        if number in IN_PYTHON and not re.search(r"^Tests?: .*\(\.\./python/tests/test_\w+\.py\)", text, flags=re.M):
            yield f"rule {number} links to no test of python/tests"
    yield from (f"{name} belongs to no rule" for name in sorted(there))


# ---- links ---------------------------------------------------------------------------------------------------------


def anchors(path):
    """The anchors that GitHub makes of headings."""
    for heading in re.findall(r"^#+ (.*)$", without_code(path.read_text()), flags=re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links():
    """relative links in *.md lead somewhere"""
    for document in documents():
        for link in re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text())):
            place, _, anchor = link.partition("#")
            target = (document.parent / place).resolve() if place else document
            if re.match(r"\w+:", link):
                continue
            if not target.exists():
                yield f"{document.relative_to(root)}: {link}"
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                yield f"{document.relative_to(root)}: {link}: no such heading"


# ---- lines ---------------------------------------------------------------------------------------------------------

WIDTH = 120


def without_targets(line):
    return re.sub(r"\]\([^)]*\)|^\[[^]]*\]: .*", "", line)


def prose_lines():
    """lines of prose in *.md have at most 120 columns, tables, code and targets of links excepted"""
    for document in sorted({*documents(), *(root / "docs/site").rglob("*.md")}):
        text = re.sub(r"^( *)```.*?^ *```", lambda m: "\n" * m.group().count("\n"), document.read_text(), flags=re.S | re.M)
        for number, line in enumerate(text.splitlines(), 1):
            if len(without_targets(line)) > WIDTH and not line.startswith("|"):
                yield f"{document.relative_to(root)}:{number} has {len(line)} columns"


# ---- manual pages ----------------------------------------------------------------------------------------------------


def names_of(page):
    return re.findall(r"^\.Nm ([\w-]+)", page.read_text().split(".Sh NAME")[1].split("\n.Sh ")[0], flags=re.M)


def public_names():
    """Functions, inline functions, and macros that are used like them. Names that end in _ are internal."""
    for header in headers:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header.read_text(), flags=re.S)
        yield from re.findall(r"^(?:BOUGH_API|static inline)\b[^;{(]*\b(bough_\w*[^\W_])\s*\(", text, flags=re.M)
        yield from re.findall(r"^#define (bough_\w*[^\W_])\(", text, flags=re.M)
        block = r"^#define (BOUGH_\w*[^\W_])(?:\([^)]*\))? (?:BOUGH_(?:BRANCH|HANDLE)_?\(|BOUGH_REGION_)"
        yield from re.findall(block, text, flags=re.M)


def each_has_a_page():
    """each public function has a manual page"""
    have = {n for p in pages for n in names_of(p)} | {c.ours for c in calls.read_table()[1]}
    yield from sorted(set(public_names()) - have)


def aliases():
    """man/meson.build lists the names in the manual pages"""
    text = (root / "man/meson.build").read_text()
    want = {p.stem: set(names_of(p)) - {p.stem} for p in pages if p.suffix == ".3"}
    listed = re.search(r"manual_pages = (\{.*?\n\})", text, flags=re.S).group(1)
    rows = re.findall(r"'(\w+)': \[(.*?)\]", listed, flags=re.S)
    have = {page: set(re.findall(r"'(\w+)'", names)) for page, names in rows}
    for page in sorted(want.keys() | have.keys()):
        if want.get(page) != have.get(page):
            yield f"{page}: the page has {want.get(page)}, man/meson.build {have.get(page)}"
    yield from (f"{p.name} is not installed" for p in pages if p.suffix in (".1", ".7") and f"'{p.name}'" not in text)


def references():
    """manual pages refer to pages that exist"""
    ours = {n for p in pages for n in names_of(p)} | {c.ours for c in calls.read_table()[1]}
    for page in pages:
        for name in re.findall(r"^\.Xr ([\w-]+) ", page.read_text(), flags=re.M):
            if name.startswith("bough") and name not in ours:
                yield f"{page.name}: {name}"


def lint():
    """neither mandoc nor groff has a warning for a manual page, generated pages included"""
    with tempfile.TemporaryDirectory() as made:
        calls.man(Path(made))
        every = [*pages, *sorted(Path(made).iterdir())]
        if shutil.which("mandoc"):
            run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *every], capture_output=True, text=True)
            yield from run.stdout.splitlines()
        for page in every if shutil.which("groff") else ():
            run = subprocess.run(["groff", "-mdoc", "-ww", "-z", "-Tutf8", page], capture_output=True, text=True)
            yield from (f"{page.name}: {line}" for line in run.stderr.splitlines())


# ---- examples -------------------------------------------------------------------------------------------------------

PREAMBLE = """\
#include <bough.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
"""


def examples():
    for page in pages:
        text = page.read_text().partition(".Sh EXAMPLES")[2].partition("\n.Sh ")[0]
        for code in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, flags=re.S | re.M):
            yield page.name, PREAMBLE + code.replace("\\e", "\\").replace("\\-", "-")
    for document in documents():
        for code in re.findall(r"^```c\n(.*?)^```", document.read_text(), flags=re.S | re.M):
            if "int main(" in code:
                yield document.name, code


def examples_compile():
    """examples in manual pages, and whole programs in *.md, compile"""
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-fsyntax-only"]
    for name, code in examples() if cc else ():
        run = subprocess.run([*cc, "-x", "c", *flags, f"-I{root}/include", "-"],
                             input=code, text=True, capture_output=True, cwd=build)
        yield from (f"{name}: {line}" for line in run.stderr.splitlines() if run.returncode)


# ---- versions -------------------------------------------------------------------------------------------------------


def versions():
    """README.md, NEWS.md, bough.h and the Python package have meson.build's version"""
    want = re.search(r"version: '([0-9.]+)'", (root / "meson.build").read_text()).group(1)
    major, minor, patch = want.split(".")
    for name, lines in {
        "include/bough.h": [f'BOUGH_VERSION "{want}"', f"_MAJOR {major}", f"_MINOR {minor}", f"_PATCH {patch}"],
        "python/meson.build": [f"  version: '{want}',"],
        "python/pyproject.toml": [f'version = "{want}"'],
        "python/bough/__init__.py": [f'__version__ = "{want}"'],
    }.items():
        there = (root / name).read_text().splitlines()
        yield from (f"{name} does not say {text}" for text in lines if not any(line.endswith(text) for line in there))
    news, readme = root / "NEWS.md", root / "README.md"
    latest = re.search(r"^#+ .*?(\d+\.\d+\.\d+)", news.read_text(), flags=re.M) if news.exists() else None
    if not latest or latest.group(1) != want:
        yield f"NEWS.md begins with {latest and latest.group(1)}, meson.build says {want}"
    said = re.findall(r"(?:bough|version)[ -]v?(\d+\.\d+\.\d+)", readme.read_text(), flags=re.I)
    yield from (f"README.md says {v}, meson.build {want}" for v in said if v != want)


def figures():
    """docs/decisions.md has the harness's size"""
    said = re.search(r"The harness has ([\d,]+) lines", (root / "docs/decisions.md").read_text())
    parts = ["harness.c", "harness.h", "harness_internal.h", "leaks.c", "tools.c"]
    lines = sum(len((root / "tests" / name).read_text().splitlines()) for name in parts)
    if not said or abs(int(said.group(1).replace(",", "")) - lines) > lines / 10:
        yield f"it has {lines}; the document says {said and said.group(1)}"


checks.run([each_rule, rules_and_tests, links, prose_lines, each_has_a_page, aliases, references, lint, examples_compile, versions, figures])
