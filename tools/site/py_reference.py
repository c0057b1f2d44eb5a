# SPDX-License-Identifier: MIT
"""The Python reference: signatures from the stub, descriptions from docstrings and the stub's comments."""
import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import prose
from c_reference import directive

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "python/bough/__init__.pyi"
SPELLED = {
    "_Region": "AbstractContextManager", "_Verdict": "Verdict", "_Closes": "SupportsClose", "_T": "T", "_P": "P", "_E_co": "E",
    "_Fails": "CancelScope", "_MovesOn": "CancelScope", "_Submits": "Executor",
}
TITLES = {
    "asking, and regions": "Asking, and regions",
    "threads": "Threads",
    "branches": "Branches",
    "time limits": "Time limits",
    "children": "Children",
    "executors": "Executors and event loops",
    "the ladder": "The ladder",
}

ASK = """
import inspect, json, sys
import bough
def said(value):
    return inspect.getdoc(value) if getattr(value, "__doc__", None) else None
found = {}
for name in bough.__all__:
    value = getattr(bough, name)
    found[name] = None if type(value).__name__ == "Verdict" else said(value)
    if isinstance(value, type):
        for key in dir(value):
            if not key.startswith("_"):
                found[f"{name}.{key}"] = said(inspect.getattr_static(value, key))
json.dump(found, sys.stdout)
"""


def docstrings(folder, interpreter=sys.executable):
    """name -> its docstring, of the package in this folder"""
    run = subprocess.run([interpreter, "-c", ASK], env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
                         capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


class Reference:
    def __init__(self, docs, rule_link):
        self.docs, self.rule_link = docs, rule_link
        self.source = STUB.read_text()
        self.lines = self.source.split("\n")
        self.tree = ast.parse(self.source)
        self.aliases = {}
        for node in self.tree.body:
            if isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
                self.aliases[node.target.id] = ast.unparse(node.value)
        self.names = {n for node in self.tree.body for n in names_of(node)}

    def spell(self, text):
        for _ in range(2):
            text = re.sub(r"\b_\w+\b", lambda m: SPELLED.get(m.group()) or self.aliases.get(m.group(), m.group()), text)
        return text.replace("Any", "Any")

    def comment(self, node):
        """The comment at the end of a line of the stub; one for a type checker does not count."""
        match = re.search(r"#\s*(?!type:)(.*)$", self.lines[node.end_lineno - 1])
        return match.group(1) if match and "type: ignore" not in match.group(1) else ""

    def refer(self, word):
        if match := re.match(r"(rules?) (\d+)$", word):
            return f"[{word}]({self.rule_link(int(match.group(2)))})"
        name = word.split("(")[0].removeprefix("bough.")
        if name in self.names and (word.endswith(")") or name[0].isupper()):
            return f"{{py:obj}}`{name} <bough.{name}>`" if "=" not in word else None
        return None

    def words(self, name, node):
        text = self.docs.get(name) or ""
        # NamedTuple's generated docstrings are useless; a type's docstring does not describe its member.
        if text.startswith("Alias for field") or (name.count(".") and text == self.docs.get(name.split(".")[0])):
            text = ""
        text = self.comment(node) or text
        return prose.markdown(re.sub(r"^with (\w+\()", r"`with` \1", text), self.refer, "python")

    def signature(self, node, drop_self=False):
        args = ast.unparse(node.args)
        if drop_self:
            args = re.sub(r"^self(?:, /)?(?:, )?", "", args)
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return self.spell(f"{node.name}({args}){returns}")

    def member(self, owner, node):
        name = f"{owner}.{getattr(node, 'name', None) or node.target.id}"
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(d) for d in node.decorator_list}
            if any(d.endswith(".setter") for d in decorators):
                return None
            body = self.words(name, node)
            if "property" in decorators:
                head = f"{node.name}\n:type: {self.spell(ast.unparse(node.returns))}"
                return directive("py:attribute", head, body)
            static = "\n:staticmethod:" if "staticmethod" in decorators else ""
            return directive("py:method", self.signature(node, not static) + static, body)
        kind = self.spell(ast.unparse(node.annotation)) if isinstance(node, ast.AnnAssign) else ""
        return directive("py:attribute", f"{node.target.id if kind else node.targets[0].id}" + (f"\n:type: {kind}" if kind else ""),
                         self.words(name, node))

    def enumerator(self, owner, node):
        name = node.targets[0].id
        return directive("py:attribute", f"{name}\n:value: {ast.unparse(node.value)}", self.words(f"{owner}.{name}", node))

    def item(self, node):
        (name,) = names_of(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            options = "\n:async:" if isinstance(node, ast.AsyncFunctionDef) else ""
            return directive("py:function", self.signature(node) + options, self.words(name, node))
        if isinstance(node, ast.AnnAssign):
            head = f"{name}\n:type: {self.spell(ast.unparse(node.annotation))}"
            return directive("py:data", head, self.words(name, node))
        if isinstance(node, ast.Assign):
            return directive("py:data", name, f"The same class as {{py:class}}`{ast.unparse(node.value)} <bough.{ast.unparse(node.value)}>`.")
        bases = [self.spell(ast.unparse(b)) for b in node.bases]
        body = [self.words(name, node)]
        if bases:
            body.insert(0, "Bases: " + ", ".join(f"`{b}`" for b in bases))
        init, members = "", []
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__" and name != "Child":
                init = "(" + self.signature(part, True).partition("(")[2].removesuffix(" -> None")
            elif isinstance(part, ast.Assign):
                members.append(self.enumerator(name, part))
            elif any(not n.startswith("_") for n in names_of(part)):
                members.append(self.member(name, part))
        return directive("py:class", name + init, "\n\n".join([*filter(None, body), *filter(None, members)]))

    def page(self):
        out = ["# Python reference", "What `import bough` gives you. The [guide](../python.md) shows how to use it, by task; signatures "
               "are those of the package's stub.", "```{py:module} bough\n```"]
        sections = {line: TITLES[m.group(1)] for line, text in enumerate(self.lines, 1) if (m := re.match(r"# -{4} (.*)", text))}
        begun = set()
        for node in self.tree.body:
            if not any(not n.startswith("_") for n in names_of(node)):
                continue
            line, title = max((at, t) for at, t in [(0, ""), *sections.items()] if at < node.lineno)
            if title and line not in begun:
                begun.add(line)
                out.append(f"## {title}")
            out.append(self.item(node))
        return "\n\n".join(out) + "\n"


def names_of(node):
    """The names that a statement of the stub defines."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [] if "TypeAlias" in ast.unparse(node.annotation) else [node.target.id]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    return []
