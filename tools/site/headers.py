#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""headers.py: reads the public headers as data, which the site's C reference and the check of the manual pages use.

An entry is one comment with the declarations that follow it without an empty line. A declaration without a comment
above it has one at the end of its line.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "include"
# In the order in which bough.h includes them.
HEADERS = ["bough.h", *(f"bough/{n}.h" for n in re.findall(r"^#include <bough/(\w+)\.h>$", (FOLDER / "bough.h").read_text(), flags=re.M)),
           "bough/calls.h"]


@dataclass
class Declaration:
    kind: str  # function, macro, type, struct, enum
    name: str
    text: str  # the text of the header, without attributes
    note: str = ""  # the comment at the end of its line
    values: list = field(default_factory=list)  # of an enum: (name, comment)


@dataclass
class Entry:
    words: str  # the comment, without its marks
    tags: list
    declarations: list
    section: str


@dataclass
class Header:
    name: str
    intro: str
    entries: list


# ---- reading -------------------------------------------------------------------------------------------------------


def as_c_sees_it(text):
    """The text as a C compiler with GNU extensions sees it: without C++, the guard and #include."""
    out, stack = [], []
    for line in re.sub(r"\\\n", "\\\\\x00", text).split("\n"):
        match = re.match(r"\s*#\s*(if\w*|elif|else|endif)\b(.*)", line)
        if not match:
            if all(stack) and not re.match(r'\s*#\s*(include|error|undef|pragma)|extern "C" \{', line):
                out.append(line)
            continue
        word, rest = match.groups()
        if word.startswith("if"):
            stack.append(word == "ifndef" or not re.search(r"__cplusplus|!defined\(__GNUC__\)", rest))
        elif word == "else":
            stack[-1] = not stack[-1]
        elif word == "endif":
            stack.pop()
    return "\n".join(out).replace("\x00", "\n")


def comment(text):
    """A comment's text without its marks; the first line is indented like the others."""
    inner = text[2:-2] if text.startswith("/*") else text[2:]
    lines = [re.sub(r"^\s*\* ?", "", line) if number else line.strip() for number, line in enumerate(inner.split("\n"))]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def pieces(text):
    """(kind, text): comments, directives, declarations and empty lines of a header's outermost level."""
    at = 0
    while at < len(text):
        if match := re.compile(r"[ \t]*/\*.*?\*/[ \t]*|[ \t]*//[^\n]*", re.S).match(text, at):
            yield "comment", match.group().strip()
        elif match := re.compile(r"\n[ \t]*\n").match(text, at):
            yield "gap", ""
            at = match.end() - 1
            continue
        elif match := re.compile(r"\s+").match(text, at):
            if "\n" in match.group():
                yield "line", ""
        elif match := re.compile(r"#\s*define (?:[^\n\\]|\\\n|\\)*").match(text, at):
            body = match.group()
            note = re.search(r"/\*.*?\*/\s*$", body, flags=re.S)
            yield "macro", body
            if note:
                yield "comment", note.group().strip()
        else:
            yield "declaration", text[at : (at := end_of(text, at))]
            continue
        at = match.end()


def end_of(text, at):
    """The end of the declaration at `at`: after a semicolon or a function's body."""
    depth, start, parenthesis = 0, at, False
    while at < len(text):
        if text.startswith("/*", at):
            at = text.index("*/", at) + 2
            continue
        c = text[at]
        depth += (c in "{(") - (c in "})")
        parenthesis |= c == "("
        at += 1
        if depth == 0 and (c == ";" or (c == "}" and parenthesis and "static inline" in text[start : start + 20])):
            return at
    return at


ATTRIBUTE = re.compile(r"\s*__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|\bBOUGH_API\s*|\s*\bBOUGH_(?:COLD|ZERO_)\b"
                       r"|\s*BOUGH_FORMAT\(\d+, \d+\)|\bstatic inline\s*")


def declared(kind, text):
    """The declaration, or None for internal names (which end in _) and guards."""
    if kind == "macro":
        match = re.match(r"#\s*define (\w+)(\([^)]*\))?\s*(.*)", text, flags=re.S)
        name, params, body = match.group(1), match.group(2) or "", re.sub(r"/\*.*", "", match.group(3), flags=re.S).strip()
        if name.endswith("_") or re.match(r"BOUGH_(\w+_)?H$", name):
            return None
        return Declaration("macro", name, name + params, values=[body])
    plain = ATTRIBUTE.sub("", text).strip()
    bare = re.sub(r"/\*.*?\*/", " ", plain, flags=re.S)
    if plain.startswith("extern"):
        return None
    if match := re.match(r"(?:typedef )?(struct|enum|union)\s*(\w*)\s*\{", bare):
        kind, name = match.groups()
        alias = re.search(r"\}\s*(\w+)\s*;$", bare)
        name = name or (alias.group(1) if alias else "")
        if name.endswith("_"):
            return None
        found = Declaration(kind, name, plain)
        if kind == "enum":
            body = plain[plain.index("{") + 1 : plain.rindex("}")]
            for value, note in re.findall(r"(\bBOUGH_\w+)[^,/]*,?\s*(?:/\*(.*?)\*/)?", body, flags=re.S):
                found.values.append((value, " ".join(comment(f"/*{note}*/").split())))
        return found
    if bare.startswith("typedef"):
        name = re.search(r"(\w+)\s*\([^()]*\)\s*;$|(\w+)\s*;$", bare)
        name = name.group(1) or name.group(2)
        return Declaration("type", name, plain)
    if match := re.match(r"struct (\w+);$", bare):
        ours = match.group(1).startswith("bough") and not match.group(1).endswith("_")
        return Declaration("type", match.group(1), plain) if ours else None
    match = re.match(r"(.*?\b(\w+)\((?:[^()]|\([^()]*\))*\))", bare, flags=re.S)
    if not match or not match.group(2).startswith("bough_") or match.group(2).endswith("_"):
        return None
    return Declaration("function", match.group(2), " ".join(match.group(1).split()))


TAG = re.compile(r"\s*\[((?:point|signal|owner|rules?\s[\d,\sandto]+)[^]]*)\]")


def tags_of(words):
    """A comment without the tags at its end, and these tags."""
    found = []
    while match := re.search(TAG.pattern + r"\s*$", words):
        found.insert(0, " ".join(match.group(1).split()))
        words = words[: match.start()]
    return words.rstrip(), found


def read(name):
    entries, section, intro, open_entry, last = [], "", None, None, None
    pending, fresh = None, False  # a comment that waits for its declaration; a line has ended since the declaration
    for kind, text in pieces(as_c_sees_it((FOLDER / name).read_text())):
        if kind == "comment":
            words = comment(text)
            if title := re.match(r"-{2,} (.*?) -{2,}$", words):
                section, pending, open_entry = title.group(1), None, None
            elif words.startswith("SPDX"):
                pass
            elif intro is None:
                intro = words
            elif last and not fresh:
                last.note = words
            else:
                pending, open_entry = words, None
            continue
        if kind == "line":
            fresh = True
        elif kind == "gap":
            fresh, open_entry, pending = True, None, None if not pending else pending
        elif found := declared(kind, text):
            if open_entry is None:
                words, tags = tags_of(pending or "")
                open_entry = Entry(words, tags, [], section)
                entries.append(open_entry)
                pending = None
            open_entry.declarations.append(found)
            last, fresh = found, False
        else:
            last, fresh = None, False
            pending = None
    return Header(name, intro or "", entries)


def every():
    return [read(name) for name in HEADERS]


if __name__ == "__main__":
    for header in every():
        print("=====", header.name)
        for entry in header.entries:
            print("--", entry.section, "|", entry.words[:100].replace("\n", " "), entry.tags)
            for d in entry.declarations:
                print("     ", d.kind, d.name, "|", " ".join(d.text.split())[:100], "|", d.note[:60], d.values[:3])
