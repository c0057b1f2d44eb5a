# SPDX-License-Identifier: MIT
"""The metadata of pyproject.toml, as a wheel and a source distribution have them."""
import os
import re
import tomllib


def of(source):
    return Project(source, tomllib.loads((source / "pyproject.toml").read_text())["project"])


def for_index(text, repository, version):
    """The readme as a package index shows it: a link into the repository leads to its public address, or is plain text without one."""
    def link(match):
        words, place = match.groups()
        if re.match(r"[a-z]+:|#", place):
            return match.group()
        if not repository:
            return words
        path = os.path.normpath(f"python/{place}")
        return f"[{words}]({repository.rstrip('/')}/blob/v{version}/{path})"

    return re.sub(r"\[([^]]*)\]\(([^)\s]+)\)", link, text)


class Project:
    def __init__(self, source, table):
        self.table, self.name, self.version = table, table["name"], table["version"]
        self.licence = (source / table["license"]["file"]).read_text()
        self.licence_file = source / table["license"]["file"]
        urls = table.get("urls", {})
        self.readme = for_index((source / table["readme"]).read_text(), urls.get("Repository"), self.version)

    def text(self):
        """The core metadata, version 2.1."""
        table = self.table
        lines = [("Metadata-Version", "2.1"), ("Name", self.name), ("Version", self.version), ("Summary", table["description"])]
        lines += [("Keywords", ",".join(table["keywords"])), ("Author", ", ".join(author["name"] for author in table["authors"]))]
        lines += [("License", self.licence.rstrip("\n").replace("\n", "\n        "))]
        lines += [("Classifier", classifier) for classifier in table["classifiers"]]
        lines += [("Project-URL", f"{name}, {address}") for name, address in table.get("urls", {}).items()]
        lines += [("Requires-Python", table["requires-python"])]
        lines += [("Requires-Dist", requirement) for requirement in table.get("dependencies", ())]
        for extra, requirements in table.get("optional-dependencies", {}).items():
            lines += [("Provides-Extra", extra)]
            lines += [("Requires-Dist", f'{requirement}; extra == "{extra}"') for requirement in requirements]
        lines += [("Description-Content-Type", "text/markdown")]
        return "".join(f"{name}: {value}\n" for name, value in lines) + "\n" + self.readme

    def entry_points(self):
        """The file entry_points.txt; "": there are none."""
        groups = {"console_scripts": self.table.get("scripts", {}), **self.table.get("entry-points", {})}
        return "\n".join(
            f"[{group}]\n" + "".join(f"{name} = {what}\n" for name, what in entries.items()) for group, entries in groups.items() if entries
        )
