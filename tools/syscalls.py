#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""syscalls.py OUT COMPILER...: writes the names of the system calls, by number, from the compiler's headers."""
import re
import subprocess
import sys
from pathlib import Path

LIMIT = 1024  # higher numbers belong to another machine, or are private


def defined(compiler):
    """Every macro that is defined after <sys/syscall.h>."""
    command = [*compiler, "-E", "-dM", "-x", "c", "-"]
    text = subprocess.run(command, input="#include <sys/syscall.h>\n", check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"^#define (\w+) (.+)$", text, re.M))


def number(macros, text):
    """The value of a macro's text, which may be the name of another macro."""
    while text in macros:
        text = macros[text]
    return int(text, 0) if re.fullmatch(r"0x[0-9a-fA-F]+|\d+", text) else None


def names(macros):
    """number -> name. The generic table's __NR3264_ names are internal to it, and not calls."""
    found = {}
    for macro, text in macros.items():
        match = re.fullmatch(r"__NR_(\w+)", macro)
        value = number(macros, text) if match else None
        if value is not None and value < LIMIT and match.group(1) not in ("syscalls", "arch_specific_syscall"):
            found.setdefault(value, match.group(1))
    return found


def main():
    out, compiler = Path(sys.argv[1]), sys.argv[2:]
    found = names(defined(compiler))
    if not found:
        sys.exit("syscalls.py: the compiler's <sys/syscall.h> names no system call")
    out.write_text("".join(f'[{n}] = "{name}",\n' for n, name in sorted(found.items())))


main()
