#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""build.py OUT PACKAGE: builds the documentation site in OUT/html, with the Python package in the folder PACKAGE.

The sources are docs/*.md and docs/site/, the headers, the manual pages, the package's stub and docstrings. They are put
together in OUT/source; a link to a file that is no page of the site leads to a page with that file. Warnings of Sphinx are
errors, and so is a broken link.
"""
import html.parser
import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path, PurePosixPath

sys.dont_write_bytecode = True
import c_reference  # noqa: E402
import manual  # noqa: E402
import py_reference  # noqa: E402
import theme  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# Documents in other folders: file -> page.
ELSEWHERE = {"DESIGN.md": "design", "CONTRIBUTING.md": "contributing", "NEWS.md": "news", "models/README.md": "models",
             "python/README.md": "install-python", "README.md": "index"}
LANGUAGES = {".c": "c", ".h": "c", ".def": "c", ".cpp": "cpp", ".py": "python", ".pyi": "python", ".sh": "bash", ".toml": "toml"}
FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1`*[ ]*$", re.S | re.M)


def slug(heading):
    """The anchor that GitHub and MyST make of a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def outside_code(text, change):
    """Applies `change` to all text outside of fences."""
    out, at = [], 0
    for match in FENCE.finditer(text):
        out += [change(text[at : match.start()]), match.group()]
        at = match.end()
    return "".join([*out, change(text[at:])])


class Site:
    def __init__(self, out, package):
        self.out, self.source = out, out / "source"
        self.package, self.written = package, set()
        self.pages = {ROOT / name: page for name, page in ELSEWHERE.items()}
        self.pages.update({p: p.stem for p in (ROOT / "docs").glob("*.md")})
        self.files = []  # the files that are shown unchanged, in the order in which links to them were found
        text = (ROOT / "docs/semantics.md").read_text()
        self.rules = {int(n): slug(f"Rule {n}{rest}") for n, rest in re.findall(r"^#+ Rule (\d+)(.*)$", text, flags=re.M)}

    def put(self, page, text):
        self.write(self.source / f"{page}.md", text)

    def write(self, path, text):
        """Writes a file only if its content changes, so that Sphinx reads only changed files again."""
        self.written.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)

    def remove_others(self):
        for path in [p for p in self.source.rglob("*") if p.is_file() and p not in self.written]:
            path.unlink()
            shutil.rmtree(self.out / "html", ignore_errors=True)

    # ---- links -----------------------------------------------------------------------------------------------------

    def page_of(self, path):
        """The page of a file or folder of the repository. The first link to a file adds its page."""
        if path in self.pages:
            return self.pages[path]
        page = f"source/{path.relative_to(ROOT).as_posix().removesuffix('.md')}"
        if path.is_dir():
            page += "/index"
        self.pages[path] = page
        self.files.append(path)
        return page

    def links(self, text, origin, here):
        up = "../" * here.count("/")

        def image(match):
            words, place = match.groups()
            return self.drawing(words, (origin.parent / place).resolve(), up)

        def link(match):
            words, place = match.groups()
            if re.match(r"[a-z]+:|#", place):
                return match.group()
            file, _, anchor = place.partition("#")
            target = (origin.parent / file).resolve()
            if not target.exists() and origin.is_relative_to(ROOT / "docs/site"):
                return match.group()  # a generated page; Sphinx warns if it does not exist
            if not target.exists():
                sys.exit(f"{origin.relative_to(ROOT)}: {place} does not exist")
            if target.suffix == ".svg":
                self.copy_drawing(target)
                return f"[{words}]({up}_drawings/{target.name})"
            page = "measurements" if target == ROOT / "README.md" and anchor else self.page_of(target)
            return f"[{words}]({up}{page}.md{'#' + anchor if anchor else ''})"

        text = re.sub(r"!\[([^]]*)\]\(([^)\s]+)\)", image, text)
        return re.sub(r"(?<!!)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)", link, text)

    def copy_drawing(self, path):
        """Copies a drawing, and makes a light and a dark one, for readers whose look differs from the system's."""
        folder = self.source / "_drawings"
        if path.suffix != ".svg":
            self.write(folder / path.name, path.read_bytes())
            return False
        text = path.read_text()
        dark = re.search(r"@media (?:screen and )?\(prefers-color-scheme: dark\) \{((?:[^{}]*\{[^{}]*\})*)\s*\}", text)
        self.write(folder / path.name, text)
        if dark:
            self.write(folder / f"{path.stem}-light.svg", text.replace(dark.group(), ""))
            self.write(folder / f"{path.stem}-dark.svg", text.replace(dark.group(), dark.group(1)))
        return bool(dark)

    def drawing(self, words, path, up):
        quoted = json.dumps(words)
        looks = ["-light", "-dark"] if self.copy_drawing(path) else [""]
        return "\n".join(f"```{{image}} {up}_drawings/{path.stem}{look}.svg\n:alt: {quoted}\n:class: only{look}\n```" if look
                         else f"```{{image}} {up}_drawings/{path.name}\n:alt: {quoted}\n```" for look in looks)

    # ---- pages -----------------------------------------------------------------------------------------------------

    def document(self, path, page):
        text = path.read_text()
        heads = re.findall(r"^# ", re.sub(FENCE, "", text), flags=re.M)
        if len(heads) > 1:  # a page has one title: all headings from the second title on move down a level
            second = [m.start() for m in re.finditer(r"^# ", text, flags=re.M)][1]
            text = text[:second] + outside_code(text[second:], lambda t: re.sub(r"^(#+) ", r"#\1 ", t, flags=re.M))
        self.put(page, outside_code(text, lambda part: self.links(part, path, page)))

    def sections_of_readme(self, titles):
        """The sections of README.md whose headings begin with these titles, for the page of measurements."""
        path = ROOT / "README.md"
        parts = re.split(r"^(?=## )", path.read_text(), flags=re.M)
        found = [part for title in titles for part in parts if part.startswith(f"## {title}")]
        if len(found) != len(titles):
            sys.exit(f"README.md lacks some of the sections {titles}")
        return "\n".join(self.links(part, path, "measurements") for part in found)

    def file(self, path):
        page = self.pages[path]
        name = path.relative_to(ROOT).as_posix()
        head = f"---\norphan: true\nnosearch: true\n---\n\n# {name}\n\n"
        if path.is_dir():
            inside = [p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")]
            text = "\n".join(f"- `{p.name}`" for p in inside)
        elif path.suffix == ".md":
            return self.put(page, "---\norphan: true\n---\n\n" + self.links(path.read_text(), path, page))
        else:
            code = path.read_text()
            fence = "`" * max([4, *(len(m) + 1 for m in re.findall(r"`{3,}", code))])
            text = f"{fence}{LANGUAGES.get(path.suffix, 'none')}\n{code}\n{fence}"
        return self.put(page, f"{head}{text}\n")

    def assemble(self):
        own = ROOT / "docs/site"
        for path in [p for p in sorted(own.rglob("*")) if p.is_file()]:
            text = path.read_text()
            if path.suffix == ".md":
                page = path.relative_to(own).as_posix().removesuffix(".md")
                text = outside_code(text, lambda part: self.links(part, path, page))
                if page == "measurements":
                    text += "\n" + self.sections_of_readme(["What is lost", "What it costs"])
            self.write(self.source / path.relative_to(own), text)
        for path, page in list(self.pages.items()):
            if page != "index" and not page.startswith("source/"):
                self.document(path, page)
        pages = manual.Manual()
        for page in pages.pages:
            self.put(f"manual/{page}", pages.markdown(page))
        self.put("manual/index", pages.index())
        reference = c_reference.Reference(lambda number: f"../../semantics.md#{self.rules[number]}", pages.of)
        for header in reference.headers:
            self.put(f"reference/c/{c_reference.page_name(header.name)}", reference.page(header))
        docs = py_reference.docstrings(self.package)
        python = py_reference.Reference(docs, lambda number: f"../semantics.md#{self.rules[number]}")
        self.put("reference/python", python.page())
        while self.files:  # self.file() may add files, if this one is a document with links
            self.file(self.files.pop())
        self.remove_others()

    def sphinx(self, builder, *options):
        version = re.search(r"version: '([0-9.]+)'", (ROOT / "meson.build").read_text()).group(1)
        options = [*options, "-D", f"version={version}", "-D", f"release={version}"]
        return subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-a", "-j", "auto", "-b", builder, *options,
                               self.source, self.out / builder]).returncode


# ---- the links of the built pages -----------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.targets, self.anchors = [], {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        for key in "href", "src":
            if attributes.get(key):
                self.targets.append(attributes[key])


def broken_links(folder):
    pages = {path: Page(path) for path in folder.rglob("*.html")}
    for path, page in pages.items():
        for target in page.targets:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            place = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if not place.exists():
                yield f"{path.relative_to(folder)}: {target}"
            elif place in pages and urllib.parse.unquote(parts.fragment) not in pages[place].anchors:
                yield f"{path.relative_to(folder)}: {target}: no such place on that page"


def network():
    try:
        socket.create_connection(("docs.python.org", 443), timeout=3).close()
    except OSError:
        return False
    return True


def main(out, package):
    site = Site(Path(out).resolve(), Path(package).resolve())
    site.assemble()
    if site.sphinx("html"):
        return 1
    theme.mend(site.out / "html/_static")
    faults = sorted(set(broken_links(site.out / "html")))
    print(*faults, sep="\n", end="\n" if faults else "")
    if not faults and network() and site.sphinx("linkcheck"):
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
