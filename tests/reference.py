# SPDX-License-Identifier: MIT
"""reference.py ROOT: the C reference describes each public name, and the manual pages agree with the headers."""
import re
import sys
from pathlib import Path

import checks

root = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(root / "tools/site"))
sys.dont_write_bytecode = True
import c_reference  # noqa: E402
import headers  # noqa: E402
import manual  # noqa: E402

book = manual.Manual()
reference = c_reference.Reference(lambda number: f"rule-{number}", book.of)
pages = {header.name: reference.page(header) for header in reference.headers}
functions = {d.name: (entry, d) for header in reference.headers for entry in header.entries for d in entry.declarations
             if d.kind == "function" or (d.kind == "macro" and "(" in d.text)}


def names_in_headers():
    """All public names in the headers' code, except include guards."""
    for path in [root / "include/bough.h", *sorted((root / "include/bough").glob("*.h"))]:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.S)
        guard = re.search(r"#ifndef (\w+)", code).group(1)
        code = re.sub(r"\w+##\w*|##\w+", " ", code)
        yield from (name for name in re.findall(r"\b(?:bough|BOUGH)_\w*[^\W_]\b", code) if name != guard)


def each_header_has_a_page():
    """each public header has a page in the reference's list"""
    there = {"bough.h", *(f"bough/{p.name}" for p in (root / "include/bough").glob("*.h"))}
    index = (root / "docs/site/reference/c/index.md").read_text().split()
    yield from sorted(there ^ pages.keys())
    yield from sorted(name for name in pages if c_reference.page_name(name) not in index)


def each_name_is_there():
    """the C reference has an entry for each public name"""
    text = "\n".join(pages.values())
    have = set()
    for line in re.findall(r"^`+\{c:\w+\} (.*)$", text, flags=re.M):
        have |= set(re.findall(r"\b(\w+)\(|\b(\w+)$", line).pop(0 if "(" in line else -1))
    have |= {name for pair in re.findall(r"^typedef struct (\w+) (\w+);$", text, flags=re.M) for name in pair}
    yield from sorted(set(names_in_headers()) - have)


KNOWN_TAG = re.compile(r"point|signal|owner|rules? \d+(?:(?:, | and | to )\d+)*")


def tags_are_known():
    """each tag is listed in bough.h, and is at the end of its comment"""
    for header in reference.headers:
        for entry in header.entries:
            for d in entry.declarations:
                note, tags = headers.tags_of(d.note)
                unread = re.findall(r"\[(?:point|signal|owner|thread|rule|any)[^]]*\]", entry.words + note)
                unknown = [f"[{tag}]" for tag in entry.tags + tags if not KNOWN_TAG.fullmatch(tag)]
                yield from (f"{header.name}: {d.name}: {tag}" for tag in unread + unknown)


def each_has_words():
    """each entry has a description"""
    for header in reference.headers:
        for entry in header.entries:
            for d in entry.declarations:
                told = entry.words or headers.tags_of(d.note)[0]
                if not told and not (d.kind == "enum" and all(note for _, note in d.values)):
                    yield f"{header.name}: {d.name}"


# ---- the manual ----------------------------------------------------------------------------------------------------


def spelled(text):
    """A declaration in a form that can be compared."""
    return re.sub(r"\s*([*(),])\s*", r"\1", re.sub(r"\s+", " ", text.replace("\\&", ""))).strip()


def synopsis(text):
    """name -> its declaration in a page's SYNOPSIS"""
    lines = text.split("\n.Sh SYNOPSIS\n")[1].split("\n.Sh ")[0].split("\n")
    returns, found, open_name, arguments = "", {}, None, []
    for line in lines:
        words = re.findall(r'"([^"]*)"|(\S+)', line)
        words = [quoted or plain for quoted, plain in words]
        if not words:
            continue
        if words[0] == ".Ft":
            returns = " ".join(words[1:])
        elif words[0] == ".Fn":
            found[words[1]] = f"{returns} {words[1]}({', '.join(words[2:])})"
        elif words[0] == ".Fo":
            open_name, arguments = words[1], []
        elif words[0] == ".Fa" and open_name:
            arguments += words[1:]
        elif words[0] == ".Fc":
            found[open_name] = f"{returns} {open_name}({', '.join(arguments)})"
            open_name = None
    return found


def hand_written():
    return {page: text for page, text in book.pages.items() if page.endswith(".3") and page not in book.drop_ins}


def synopses_agree():
    """a manual page declares its functions as the header does"""
    for page, text in hand_written().items():
        have = synopsis(text)
        for name in manual.names_of(text):
            if name not in functions or functions[name][1].kind != "function":
                continue
            want = functions[name][1].text
            got = have.get(name)
            bare = spelled(re.sub(r"(\(\*\w+\)\()([^)]*)\)", lambda m: m.group(1) + re.sub(r" ?\b\w+(?=,|$)", "", m.group(2)) + ")", want))
            if not got or spelled(got) not in (spelled(want), bare):
                yield f"{page}: {name}: {got and spelled(got)}, the header has {spelled(want)}"


def errors_agree():
    """a manual page has each error that the header names for its functions"""
    for page, text in hand_written().items():
        there = {name for line in re.findall(r"\bEr (E.*)", text) for name in re.findall(r"E[A-Z]{3,}", line)}
        for name in manual.names_of(text):
            if name in functions:
                entry, d = functions[name]
                said = set(re.findall(r"(?<![\w-])E[A-Z]{3,}\b", f"{entry.words} {d.note}"))
                yield from (f"{page}: {name} can fail with {e}" for e in sorted(said - there))


def safety_agrees():
    """a manual page marks interruption points and functions for signal handlers, and names the rules"""
    for page, text in hand_written().items():
        rules = set(re.findall(r"\d+", " ".join(re.findall(r"^Rules? ([\d, and to]+)", text, flags=re.M))))
        ranges = re.findall(r"(\d+) to (\d+)", " ".join(re.findall(r"^Rules? .*", text, flags=re.M)))
        rules |= {str(n) for first, last in ranges for n in range(int(first), int(last) + 1)}
        for name in manual.names_of(text):
            if name not in functions:
                continue
            entry, d = functions[name]
            tags = entry.tags + headers.tags_of(d.note)[1]
            if any(t.startswith("point") for t in tags) and "interruption point" not in text.lower():
                yield f"{page}: {name} is an interruption point"
            if "signal" in tags and "async-signal-safe" not in text.lower():
                yield f"{page}: {name} is async-signal-safe"
            for tag in tags:
                for number in re.findall(r"\d+", tag if tag.startswith("rule") else ""):
                    if number not in rules and " to " not in tag:
                        yield f"{page}: {name} keeps rule {number}"


if __name__ == "__main__":
    checks.run([each_header_has_a_page, each_name_is_there, tags_are_known, each_has_words, synopses_agree, errors_agree, safety_agrees])
