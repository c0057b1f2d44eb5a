#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
embed.py OUT NAME=FILE...: writes the lines of text files as C strings, for an #include; for a script also the hash with
which a page's policy allows it.
"""
import base64
import hashlib
import sys
from pathlib import Path

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "?": "\\?"}  # ??= is a trigraph


def quoted(line):
    """A string literal for a line, of ASCII: other characters byte by byte, as three octal digits."""
    plain = "".join(ESCAPES.get(c) or (c if " " <= c <= "~" else "".join(f"\\{b:03o}" for b in c.encode())) for c in line)
    return f'    "{plain}",'


def array(name, text):
    lines = "\n".join(quoted(line) for line in text.splitlines(keepends=True))
    return f"static const char *const {name}[] = {{\n{lines}\n    0,\n}};\n"


def main():
    made = "/* Made by tools/embed.py. */\n"
    for given in sys.argv[2:]:
        name, _, path = given.partition("=")
        text = Path(path).read_text(encoding="utf-8")
        made += array(name, text)
        if path.endswith(".js"):
            digest = hashlib.sha256(text.encode()).digest()
            made += array(f"{name}_hash", f"sha256-{base64.b64encode(digest).decode()}")
    Path(sys.argv[1]).write_text(made)


main()
