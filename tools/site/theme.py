# SPDX-License-Identifier: MIT
"""Debian's furo lacks three things that its bundler makes: one script of two modules, the rules of normalize.css, and the dark
look where the system asks for it. This adds them to the built site. Another furo has them, and is not changed."""
import re
from pathlib import Path

NORMALIZE = Path("/usr/share/javascript/normalize.css/normalize.css")


def bundle(folder):
    script = folder / "furo.js"
    text = script.read_text()
    if text.startswith("import Gumshoe"):
        script.write_text((folder / "gumshoe-patched.js").read_text() + text.partition("\n")[2])


def style(path):
    text = path.read_text()
    first = re.match(r"@import url\(/javascript/[^)]*\);\n", text)
    if not first:
        return
    rules = "".join(re.findall(r'(?:html )?body\[data-theme="dark"\](?! \.theme-toggle)[^{}]*\{[^{}]*\}\n?', text))
    automatic = rules.replace('body[data-theme="dark"]', 'body:not([data-theme="light"])')
    normal = NORMALIZE.read_text() if NORMALIZE.exists() else "body { margin: 0; }\n"
    path.write_text(f"{normal}\n{text[first.end():]}\n@media not print {{ @media (prefers-color-scheme: dark) {{\n{automatic}}} }}\n")


def mend(static):
    bundle(static / "scripts")
    style(static / "styles/furo.css")
