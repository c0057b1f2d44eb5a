# SPDX-License-Identifier: MIT
"""models.py ROOT: the models have the code's names, and models/searches searches for each fault in them."""
import re
import sys
from pathlib import Path

import checks

root = Path(sys.argv[1])
models = root / "models"
COMMENT = re.compile(r"/\*.*?\*/", re.S)
CALLED = re.compile(r"\b([a-z_]\w*)\(\)")
LIBRARYS = re.compile(r"\b((?:bo|bough)_\w+)")
DEFINED = re.compile(r"\b(\w+)\(|\b(BO_\w+)|\bstruct (\w+)")
BIT = re.compile(r"\bBO_[A-Z_]+\b")
MACRO = re.compile(r"-D(\w+)")


def code():
    """The names of functions, macros, constants and structs in the library's sources."""
    files = (path for folder in ("src", "include") for path in (root / folder).rglob("*.[ch]"))
    texts = [COMMENT.sub("", path.read_text()) for path in files]
    pairs = (pair for text in texts for pair in DEFINED.findall(text))
    return {name for pair in pairs for name in pair if name}


def check_names():
    """functions and bits that the models name are the code's"""
    names = code()
    for path in sorted(models.glob("*.pml")):
        text = path.read_text()
        processes = set(re.findall(r"^proctype (\w+)", text, re.M))
        named = set(BIT.findall(text))
        for comment in COMMENT.findall(text):
            named.update(CALLED.findall(comment), LIBRARYS.findall(comment))
        for name in sorted(named - processes - names):
            yield f"{path.name}: {name} is not in the code"


def check_table():
    """functions in the table of models/README.md are the code's"""
    names = code()
    rows = [line for line in (models / "README.md").read_text().splitlines() if line.startswith("| [")]
    if len(rows) < len(list(models.glob("*.pml"))):
        yield "the table does not have each model"
    for row in rows:
        for name in re.findall(r"`(\w+)`", row.split("|")[2]):
            if name not in names:
                yield f"README.md: {name} is not in the code"


def searches():
    """(model, flags) of each search."""
    for line in (models / "searches").read_text().splitlines():
        if line and not line.startswith("#"):
            model, _, flags = line.split(None, 2)
            yield model, set(MACRO.findall(flags))


def check_faults():
    """each fault of a model is searched for, and each flag of a search is the model's"""
    for path in sorted(models.glob("*.pml")):
        in_model = set(re.findall(r"\w+", path.read_text()))
        in_searches = set().union(*(flags for model, flags in searches() if model == path.stem))
        for name in sorted(word for word in in_model - in_searches if word.startswith("FAULT_")):
            yield f"{path.name}: no search has {name}"
        for name in sorted(in_searches - in_model):
            yield f"searches: {path.name} does not have {name}"


checks.run([check_names, check_table, check_faults])
