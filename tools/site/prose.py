# SPDX-License-Identifier: MIT
"""Makes Markdown of the plain text in a header's comment or a docstring."""
import re

# The parts of a sentence that look like code: calls, macros, error numbers, dotted and keyword names.
CODE = re.compile(
    r"`[^`]+`"
    r"|\b(?:struct|enum|union) bough_\w+"
    r"|\bdocs/[\w/.-]+\.md\b"
    r"|\brules? \d+(?:(?:, | to | and )\d+)*"
    r"|<bough/\w+\.h>"
    r"|\b[A-Za-z_][\w.]*\((?:[^()\s]*)\)(?!\w)"
    r"|\b(?:BOUGH|SIG|RLIMIT|AT|F|MSG)_?[A-Z][A-Z0-9_]+\b"
    r"|(?<![\w-])E[A-Z0-9]{3,}\b"
    r"|\bbough_\w+"
    r"|[\w.]*\b_\w+|\b\w+_\w+\b"
    r"|\*\w+"
)


def escape(text):
    text = text.replace("[point]", "\0interruption point\0")  # the reference spells that tag in full
    return re.sub(r"([*_`\[\]<|$#\\])", r"\\\1", text).replace("\0", "*")


def inline(text, refer):
    """Makes one paragraph. `refer` makes a link of a name that is on the site, and returns None for another."""
    out, at = [], 0
    for match in CODE.finditer(text):
        word = match.group()
        out.append(escape(text[at : match.start()]))
        plain = word.strip("`")
        out.append(refer(plain) or f"`{plain}`")
        at = match.end()
    return "".join(out) + escape(text[at:])


def indent_of(line):
    return len(line) - len(line.lstrip())


def blocks(text):
    """Runs of lines between empty ones."""
    lines = []
    for line in [*text.splitlines(), ""]:
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield lines
            lines = []


def rows_of(lines):
    """The rows of an aligned list of names, or None: `name   text`, with further lines aligned to the text."""
    rows, column = [], None
    for line in lines:
        line = re.sub(r"(?<=\S) {2,}(<bough/\w+\.h>)$", r" (\1)", line)
        match = re.match(r"(\S+(?: \S+)*?) {2,}(\S.*)$", line)
        if match and (column is None or match.start(2) == column):
            column = match.start(2)
            rows.append([match.group(1), match.group(2)])
        elif column is not None and indent_of(line) >= column:
            rows[-1][1] += " " + line.strip()
        else:
            return None
    wide = any(re.search(r"\S {2,}\S", words) for _, words in rows)
    return None if wide or len(rows) < 2 else rows


def as_list(lines, refer):
    """The aligned list of errors or names in these lines; None if they have no such list."""
    base = min(map(indent_of, lines))
    rows = rows_of([line[base:] for line in lines])
    if not rows:
        return None
    return "\n".join(f"- {inline(f'`{name}`' if ' ' not in name else name, refer)}: {inline(words, refer)}" for name, words in rows)


def as_table(lines, refer):
    """The table in these lines: at least three columns, with titles in the first line. None if there is no table."""
    base = min(map(indent_of, lines))
    lines = [line[base:] for line in lines]
    starts = [m.start() for m in re.finditer(r"(?:(?<= {2})|^)\S", lines[0])]
    if len(starts) < 3 or len(lines) < 3:
        return None
    if any(len(line) > at and line[at - 2 : at] != "  " for line in lines for at in starts[1:]):
        return None
    rows = [[line[at:end].strip() for at, end in zip(starts, [*starts[1:], None])] for line in lines]
    rows = [f"| {' | '.join(inline(cell, refer) for cell in row)} |" for row in rows]
    return "\n".join([rows[0], "|" + "---|" * len(starts), *rows[1:]])


def literal(lines, language):
    base = min(map(indent_of, lines))
    return "\n".join([f"```{language}", *(line[base:] for line in lines), "```"])


def looks_like_code(lines):
    return any(re.search(r"[;{}]\s*(//.*)?$|^\s*\w.*\(.*\).*//|\)\s*//", line) for line in lines)


def markdown(text, refer, language="c"):
    out, pending = [], []
    for lines in blocks(text):
        while lines:
            if re.match(r"\S.*\n-+$", "\n".join(lines[:2])):  # a heading, underlined
                out.append(f"**{escape(lines[0])}**")
                lines = lines[2:]
                continue
            if indent_of(lines[0]) >= 2:
                stop = next((i for i, line in enumerate(lines) if indent_of(line) < 2), len(lines))
                part, lines = lines[:stop], lines[stop:]
                if looks_like_code(part) and out and out[-1].startswith(f"```{language}") and out[-1] is pending:
                    out[-1] = pending = out[-1][:-3] + "\n" + literal(part, language).split("\n", 1)[1]
                    continue
                made = None if looks_like_code(part) else as_list(part, refer) or as_table(part, refer)
                pending = made or literal(part, language if looks_like_code(part) else "text")
                out.append(pending)
                continue
            stop = next((i for i, line in enumerate(lines) if indent_of(line) >= 2), len(lines))
            part, lines = lines[:stop], lines[stop:]
            whole = as_list([*part, *lines], refer)
            if whole:
                out.append(whole)
                break
            if part[0].startswith("- "):
                items = re.split(r"(?:^|\n)- ", "\n".join(part))[1:]
                out.append("\n".join("- " + inline(" ".join(item.split()), refer) for item in items))
                continue
            out.append(inline(" ".join(line.strip() for line in part), refer))
    return "\n\n".join(out)
