# SPDX-License-Identifier: MIT
"""word.py ROOT: the list of steps in src/state/word.h agrees with the code that makes them."""
import re
import sys
from pathlib import Path

import checks

root = Path(sys.argv[1])
HEADER = root / "src" / "state" / "word.h"
STEP = re.compile(r"\bX\((\w+),\s*(\w+),")
USE = re.compile(r"\bBO_BY_(\w+)")
FUNCTION = re.compile(r"^\w[^;{}()#]*?\b(\w+)\([^;{}]*\)\s*\{.*?^\}", re.M | re.S)
# A change of a word by an atomic operation. A word is a field named `word`, or what a `bo_word *` points to.
CHANGE = r"\b(?:bo_(?:or|and|swap|cas|add|sub|store)_\w+|atomic_\w+)\s*\("
PLAIN = re.compile(CHANGE + r"&?(?:\w+(?:->|\.))+word\b")
POINTER = re.compile(r"\b(?:bo_word|_Atomic uint64_t) \*(\w+)")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def sources():
    for path in sorted((root / "src").rglob("*.[ch]")):
        if path.parent.name != "arch" and path not in (HEADER, HEADER.with_suffix(".c")):
            yield path, COMMENT.sub(lambda c: re.sub(r"[^\n]", " ", c.group()), path.read_text())
    word = HEADER.with_suffix(".c")
    yield word, COMMENT.sub("", word.read_text())


def listed():
    text = HEADER.read_text()
    part = text[text.index("#define BO_WORD_STEPS(X)") :].split("\n\n")[0]
    return dict(STEP.findall(part.replace("\\\n", "\n")))


def makers():
    """(name, function, file) for each use of a step's name in a function."""
    for path, text in sources():
        for function in FUNCTION.finditer(text):
            for name in USE.findall(function.group()):
                yield name, function.group(1), path.relative_to(root)


def check_makers():
    """each step is made by the function that the list names, and by no other"""
    steps, made = listed(), set()
    for name, function, path in makers():
        if function in ("check_counts", "bo_word_check"):  # these only compare steps
            continue
        made.add(name)
        if steps.get(name) != function:
            yield f"{path}: {function}() makes the step {name}, which the list gives to {steps.get(name)}()"
    for name in steps.keys() - made:
        yield f"word.h: no function makes the step {name}"


def check_plain():
    """only bo_word_step(), _set(), _clear() and _put(), which check the step, change a word"""
    for path, text in sources():
        for match in PLAIN.finditer(text):
            yield place(path, text, match.start(), match)
        for function in FUNCTION.finditer(text):
            for name in set(POINTER.findall(function.group())):
                for match in re.finditer(CHANGE + name + r"\b", function.group()):
                    yield place(path, text, function.start() + match.start(), match)


def place(path, text, start, match):
    line = text.count("\n", 0, start) + 1
    return f"{path.relative_to(root)}:{line}: {match.group()}"


if len(listed()) < 20:
    sys.exit("word.py: the list of steps is not found in src/state/word.h")
checks.run([check_makers, check_plain])
