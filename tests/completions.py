# SPDX-License-Identifier: MIT
"""completions.py ROOT: bash, zsh and fish complete each command and option that bough(1) has."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import checks

root = Path(sys.argv[1])
files = {"bash": root / "completions/bough", "zsh": root / "completions/_bough", "fish": root / "completions/bough.fish"}


def commands():
    """name -> its options, as cli/usage.c describes them"""
    table = (root / "cli/usage.c").read_text().split("usages[] = {")[1].split("\n};")[0]
    parts = re.split(r'^    \{"(\w+)"', table, flags=re.M)[1:]
    return {name: set(re.findall(r"--(\w+)", text)) for name, text in zip(parts[::2], parts[1::2])}


def named():
    """each file names each command and each option"""
    for shell, file in files.items():
        text = file.read_text()
        for name, options in commands().items():
            if not re.search(rf"\b{name}\b", text):
                yield f"{shell}: {name}"
            for option in options:
                if not re.search(rf"--{option}\b|-l {option}\b", text):
                    yield f"{shell}: {name} --{option}"


def syntax():
    """each shell that is installed can read its file"""
    for shell, file in files.items():
        if shutil.which(shell):
            run = subprocess.run([shell, "--no-execute" if shell == "fish" else "-n", file], capture_output=True, text=True)
            if run.returncode or run.stderr:
                yield f"{shell}: {run.stderr}"


def asked(shell, words, before=""):
    """The shell's completions for the last of these words."""
    if shell == "fish":
        script = f'{before}source "$argv[1]"; complete -C "{" ".join(words)}"'
        run = [shell, "--no-config", "-c", script, files[shell]]
    else:
        line = " ".join(f"'{w}'" for w in words)
        script = f'{before}. "$1"; COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}; _bough; printf "%s\\n" "${{COMPREPLY[@]}}"'
        run = [shell, "-c", script, shell, files[shell]]
    out = subprocess.run(run, capture_output=True, text=True).stdout
    return {line.split("\t")[0] for line in out.splitlines()}


def offered():
    """bash and fish offer commands and options in their places"""
    for shell in "bash", "fish":
        if not shutil.which(shell):
            continue
        missing = commands().keys() - asked(shell, ["bough", ""])
        yield from (f"{shell} does not offer {name}" for name in sorted(missing))
        for name, options in commands().items():
            missing = {f"--{o}" for o in options} - asked(shell, ["bough", name, "--"])
            yield from (f"{shell} does not offer {name} {option}" for option in sorted(missing))


def values():
    """bash and fish offer an option's values after it, and a process id where one is missing"""
    fake = "bough() { printf 'PID\\n4711 hung\\n'; }; "  # in place of the command
    for shell in "bash", "fish":
        if not shutil.which(shell):
            continue
        function = fake if shell == "bash" else "function bough; printf 'PID\\n4711 hung\\n'; end; "
        for words, wanted in (("--rung", "123456"), ("--ceiling", "123456"), ("--reason", ""), ("--wait", "")):
            offers = asked(shell, ["bough", "interrupt", words, ""], function)
            if offers - {""} != set(wanted):
                yield f"{shell} offers {offers} after {words}"
        for words in (["interrupt"], ["interrupt", "--rung", "3"], ["interrupt", "--yes"], ["tree"], ["dump"]):
            if "4711" not in (offers := asked(shell, ["bough", *words, ""], function)):
                yield f"{shell} offers {offers} after {words}"
        if "all" not in (offers := asked(shell, ["bough", "interrupt", "--rung", "3", "4711", ""], function)):
            yield f"{shell} offers {offers} after a process's id"


checks.run([named, syntax, offered, values])
