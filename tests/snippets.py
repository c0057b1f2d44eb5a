# SPDX-License-Identifier: MIT
"""snippets.py ROOT LIBRARY FOLDER CC...: the C and C++ code of the documents is compiled and run.

A block with main() is a program. It runs, and prints the block of text that follows it. The other blocks of a page
are parts of tests/snippets/PAGE.c or .cpp, which includes each as "N.inc", where N is its number on the page, from 1
on, and runs it.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import checks

root, library, folder, cc = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), Path(sys.argv[3]), sys.argv[4:]
drivers = root / "tests/snippets"
sys.dont_write_bytecode = True

FLAGS = ["-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-g", f"-I{root}/include", "-pthread"]
STANDARD = {"c": ["-x", "c", "-std=gnu11"], "cpp": ["-x", "c++", "-std=c++20"]}


def pages():
    return sorted([*(root / "docs").glob("*.md"), root / "docs/site/index.md"])


def blocks(page):
    """(number, language, code, its output or None) of each block of C and C++."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), flags=re.S | re.M)
    code = [(language, text, fences[i + 1][1] if i + 1 < len(fences) and fences[i + 1][0] == "text" else None)
            for i, (language, text) in enumerate(fences) if language in STANDARD]
    return [(number, *block) for number, block in enumerate(code, 1)]


def build_and_run(source, language, out, include=None):
    """The faults, and the program's output."""
    compiler = [*cc, *(["-Wno-missing-field-initializers"] if language == "cpp" else [])]
    command = [*compiler, *STANDARD[language], *FLAGS, *([f"-I{include}"] if include else []), str(source), "-x", "none",
               f"-L{library.parent}", f"-Wl,-rpath,{library.parent}", "-l:" + library.name,
               *(["-lstdc++"] if language == "cpp" else []), "-o", str(out)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        return [made.stderr], ""
    environment = {**os.environ, "LC_ALL": "C"}
    run = subprocess.run([out], capture_output=True, text=True, timeout=60, env=environment)
    return ([f"exit status {run.returncode}\n{run.stderr}"] if run.returncode else []), run.stdout


def programs():
    """complete programs run, and print the output that the page shows"""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for page in pages():
            for number, language, code, printed in blocks(page):
                if "int main(" not in code:
                    continue
                source = Path(place, f"{page.stem}-{number}.{language}")
                source.write_text(code)
                faults, out = build_and_run(source, language, source.with_suffix(""))
                yield from (f"{page.name}, block {number}: {fault}" for fault in faults)
                if printed is not None and not faults and out != printed:
                    yield f"{page.name}, block {number} prints {out!r}, the page says {printed!r}"


def parts():
    """all other blocks are part of their page's driver, which runs"""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for page in pages():
            found = [block for block in blocks(page) if "int main(" not in block[2]]
            for language in sorted({block[1] for block in found}):
                driver = drivers / f"{page.stem}.{language}"
                if not driver.exists():
                    yield f"{page.name} has parts of programs, and there is no {driver.relative_to(root)}"
                    continue
                text = driver.read_text()
                includes = Path(place, f"{page.stem}-{language}")
                includes.mkdir()
                for number, its, code, _ in found:
                    if its == language:
                        (includes / f"{number}.inc").write_text(f'#line 1 "{page.name}, block {number}"\n{code}')
                        if f'#include "{number}.inc"' not in text:
                            yield f"{driver.name} leaves out block {number} of {page.name}: {code.splitlines()[0]}"
                faults, _ = build_and_run(driver, language, includes / "program", includes)
                yield from (f"{driver.name}: {fault}" for fault in faults)


checks.run([programs, parts])
