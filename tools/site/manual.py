# SPDX-License-Identifier: MIT
"""Makes pages of the site from the manual pages: mandoc's HTML, with links between the site's pages."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import calls  # noqa: E402: the generator of the drop-ins' pages


def names_of(text):
    """The names by which a page can be opened."""
    return re.findall(r"^\.Nm ([\w-]+)", text.split(".Sh NAME")[1].split("\n.Sh ")[0], flags=re.M)


class Manual:
    def __init__(self):
        self.pages = {}  # "bough_add.3" -> its source
        for path in sorted((ROOT / "man").glob("*.[137]")):
            self.pages[path.name] = path.read_text()
        self.drop_ins = set()
        for call in calls.read_table()[1]:
            self.pages.setdefault(f"{call.ours}.3", calls.page(call))
            self.drop_ins.add(f"{call.ours}.3")
        self.page_of = {}  # (name, section) -> page
        for page, text in self.pages.items():
            self.page_of.update({(name, page[-1]): page for name in names_of(text)})

    def of(self, name):
        """The name of the section 3 page that describes a function, without the section; None if there is none."""
        page = self.page_of.get((name, "3"))
        return page and page.removesuffix(".3")

    def brief(self, page):
        return re.search(r"^\.Nd (.*)", self.pages[page], flags=re.M).group(1)

    def html(self, page):
        with tempfile.NamedTemporaryFile("w", suffix=page[-2:]) as file:
            file.write(self.pages[page])
            file.flush()
            run = subprocess.run(["mandoc", "-T", "html", "-O", "fragment,man=%N.%S.html", file.name],
                                 capture_output=True, text=True, check=True)
        text = re.sub(r'<table class="(?:head|foot)">.*?</table>', "", run.stdout, flags=re.S)

        def link(match):
            name, section, words = match.groups()
            target = self.page_of.get((name, section))
            return f'<a class="Xr" href="{target}.html">{words}</a>' if target else words

        text = re.sub(r'<a class="Xr" href="([^"]+)\.(\d)\.html">(.*?)</a>', link, text, flags=re.S)
        text = re.sub(r'<a class="permalink" href="[^"]*">(.*?)</a>', r"\1", text, flags=re.S)
        return re.sub(r"<(/?)h([12])\b", lambda m: f"<{m.group(1)}h{int(m.group(2)) + 1}", text)

    def markdown(self, page):
        name, section = page.rsplit(".", 1)
        return f"---\norphan: true\n---\n\n# {name}({section})\n\n````{{raw}} html\n<div class=\"manual\">\n{self.html(page)}</div>\n````\n"

    def index(self):
        out = ["# Manual pages", "What `man` shows, as pages. `make install` installs them."]
        for title, wanted in (("Overviews and the command", lambda p: p[-1] != "3"),
                              ("Functions", lambda p: p[-1] == "3" and p not in self.drop_ins),
                              ("Drop-ins", lambda p: p in self.drop_ins)):
            chosen = [page for page in self.pages if wanted(page)]
            out.append(f"## {title}\n\n" + "\n".join(f"- [{p[:-2]}({p[-1]})]({p}.md): {self.brief(p)}" for p in chosen))
        return "\n\n".join(out) + "\n"
