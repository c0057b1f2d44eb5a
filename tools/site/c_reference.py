# SPDX-License-Identifier: MIT
"""The C reference: a page for each public header, in Markdown with Sphinx's C domain."""
import re

import headers
import prose

TITLES = {
    "bough.h": "Overview and version",
    "bough/types.h": "Handles and time",
    "bough/interrupt.h": "Interrupts and threads",
    "bough/branch.h": "Branches, children and failures",
    "bough/level.h": "Levels and regions",
    "bough/ladder.h": "The ladder",
    "bough/trace.h": "Recordings",
    "bough/call.h": "Calls with a deadline, and by number",
    "bough/interpose.h": "Other people's code",
    "bough/sync.h": "Mutex, condition, semaphore, event, queue",
    "bough/signals.h": "Signals and exit",
    "bough/calls.h": "Interruptible drop-ins",
}
ROLES = {"function": "c:func", "macro": "c:macro", "struct": "c:struct", "enum": "c:enum", "type": "c:type", "union": "c:union"}


def page_name(header):
    return header.replace("bough/", "").removesuffix(".h") if header != "bough.h" else "overview"


class Reference:
    def __init__(self, rule_link, manual_of):
        """rule_link(number) -> a link's target, manual_of(name) -> a manual page's name, or None"""
        self.rule_link, self.manual_of = rule_link, manual_of
        self.headers = headers.every()
        self.kinds = {}
        for header in self.headers:
            for entry in header.entries:
                for d in entry.declarations:
                    if self.kinds.get(d.name) != "struct":
                        self.kinds[d.name] = d.kind
                    if d.kind == "enum":
                        self.kinds.update((name, "value" if d.name else "macro") for name, _ in d.values)

    def refer(self, word):
        if match := re.match(r"(rules?) (.+)", word):
            numbers = re.sub(r"\d+", lambda m: f"[{m.group()}]({self.rule_link(int(m.group()))})", match.group(2))
            return f"{match.group(1)} {numbers}"
        name = word.split("(")[0].removeprefix("struct ").removeprefix("enum ")
        if name in self.kinds:
            role = "c:enumerator" if self.kinds[name] == "value" else ROLES[self.kinds[name]]
            return f"{{{role}}}`{name}`"
        return "[semantics](../../semantics.md)" if word == "docs/semantics.md" else None

    def words(self, text):
        return prose.markdown(text, self.refer)

    def tags(self, tags):
        if not tags:
            return ""
        said = []
        for tag in tags:
            word, _, rest = tag.partition(":")
            rest = f" ({prose.inline(rest.strip(), self.refer)})" if rest else ""
            said.append({
                "point": "Interruption point.",
                "point, rule 22": f"Interruption point ([rule 22]({self.rule_link(22)})).",
                "signal": f"Not async-signal-safe{rest}." if rest else "Async-signal-safe.",
                "owner": "By its owner only.",
            }.get(tag if rest == "" else word) or self.refer(tag).capitalize() + ".")
        return "*" + " ".join(said) + "*"

    def entry(self, entry, seen):
        out = []
        shared = self.words(entry.words)
        pending = [d for d in entry.declarations if not (d.kind == "type" and self.kinds[d.name] != "type" and d.name not in seen)]
        for d in pending:
            if d.name in seen:
                continue
            seen.add(d.name)
            words, tags = headers.tags_of(d.note)
            note = self.words(words)
            above = f"As {self.refer(pending[0].name)}, above." if not note else ""
            body = [part for part in (note, shared if d is pending[0] else above, self.tags(tags or entry.tags)) if part]
            if d.kind == "function":
                signature = d.text
            elif d.kind == "macro":
                signature = d.name + (d.text.removeprefix(d.name) if "(" in d.text else "")
                value = d.values[0]
                if "(" not in d.text and re.match(r'^[\w"(]', value) and "_(" not in value and "__" not in value:
                    body.insert(0, f"`{' '.join(value.split())}`")
            elif d.kind == "enum" and not d.name:
                for name, about in d.values:
                    text = (self.words(about) + "\n\n" if about else "") + shared
                    out.append(directive("c:macro", name, text))
                    seen.add(name)
                continue
            elif d.kind == "type" and d.text.startswith("typedef") and "{" not in d.text:
                signature = d.text.removeprefix("typedef ").rstrip(";")
                signature = re.sub(r"^struct \w+ (\w+)$", r"\1", signature)
            else:
                signature = d.name
            hidden = re.match(r"typedef struct (\w+) \w+;$", d.text)
            if d.kind == "struct" or (hidden and hidden.group(1) != d.name):
                body.append(f"```c\n{d.text}\n```")
            if d.kind == "enum":
                body += [directive("c:enumerator", name, self.words(about)) for name, about in d.values]
            manual = self.manual_of(d.name)
            if manual and d.kind in ("function", "macro"):
                body.append(f"[Manual: {d.name}(3)](../../manual/{manual}.3.md)")
            out.append(directive(ROLES[d.kind].replace("c:func", "c:function"), signature, "\n\n".join(body)))
        return out

    def page(self, header):
        out = [f"# {TITLES[header.name]}", f"`#include <{header.name if header.name == 'bough.h' else 'bough.h'}>`"
               + ("" if header.name == "bough.h" else f", from `<{header.name}>`")]
        words, tags = headers.tags_of(header.intro)
        out += [self.words(words), *filter(None, [self.tags(tags)])]
        section, seen = "", set()
        for entry in header.entries:
            if entry.section != section:
                section = entry.section
                out.append(f"## {section[0].upper()}{section[1:]}")
            out += self.entry(entry, seen)
        return "\n\n".join(out) + "\n"


def directive(name, signature, body):
    """`signature` may have further lines, with options."""
    longest = max((len(m) for m in re.findall(r"^`{3,}", body, flags=re.M)), default=2)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}{{{name}}} {signature}\n\n{body}\n{fence}"
