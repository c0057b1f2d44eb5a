# SPDX-License-Identifier: MIT
"""picture_browser.py DRAW: checks the drawings and pages in a browser. Without Chromium the checks are skipped."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import checks  # noqa: E402

draw = os.path.abspath(sys.argv[1])
chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
place = tempfile.TemporaryDirectory()
here = Path(place.name)
LIMIT = 200 * float(os.environ.get("T_SCALE", "1"))

# A script that finds the page's texts that overlap, or that leave their bars.
OVERLAPS = """
const texts = () => [...document.querySelectorAll("svg text")].filter(t => t.textContent && t.getClientRects().length);
const overlaps = () => {
  const boxes = texts().map(t => [t.getBoundingClientRect(), t]).sort((a, b) => a[0].top - b[0].top), faults = [];
  boxes.forEach(([a, s], i) => {
    for (let k = i + 1; k < boxes.length && boxes[k][0].top < a.bottom - 3; k++) {
      const b = boxes[k][0];
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && !s.closest("#axis") && !boxes[k][1].closest("#axis"))
        faults.push(s.textContent + " / " + boxes[k][1].textContent);
    }
    const bar = s.parentNode.matches(".b, .step") && s.parentNode.querySelector("rect").getBoundingClientRect();
    if (bar && a.right > bar.right + 1) faults.push(s.textContent + " leaves its bar");
  });
  return faults.slice(0, 5);
};
"""
HIDE_POLICY = re.compile(r"<meta http-equiv=[^>]*>")  # the policy would prevent the test's script


FRAMES = "<script>requestAnimationFrame = f => setTimeout(f, 0)</script>"  # without a screen there are few frames


def browser(name, dark, width=1280, do="--dump-dom"):
    """Loads the page, and returns it after its scripts have run."""
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={here}/profile", f"--window-size={width},900",
               f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=4000", "--no-pdf-header-footer", do, f"file://{here}/{name}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT).stdout


def asked(name, text, script, dark=False, width=1280):
    """Adds the script to a page. Returns the result of its function."""
    run = f"<script>{OVERLAPS} const report = async () => {{ {script} }}; report().catch(e => String(e)).then(r => {{ const p = document.createElement('pre'); p.id = 'report'; p.textContent = JSON.stringify(r); document.body.append(p); }});</script>"
    (here / name).write_text(text + run)
    found = re.search(r'<pre id="report">(.*?)</pre>', browser(name, dark, width), re.S)
    if not found:
        raise RuntimeError(f"{name}: no report")
    return json.loads(found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&"))


def made(scenario, form):
    return subprocess.run([draw, scenario, form], capture_output=True, check=True, timeout=LIMIT).stdout.decode()


def needs_browser():
    if not chromium:
        raise checks.Skip("no chromium")


def labels():
    """no label covers another or leaves its bar, in light and dark"""
    needs_browser()
    for scenario in ("usual", "many", "hostile", "zero", "empty"):
        for dark in (False, True):
            faults = asked("drawing.html", "<!DOCTYPE html><meta charset=utf-8><body>" + made(scenario, "svg"), "return overlaps();", dark)
            yield from (f"{scenario}: {f}" for f in faults)


def schemes():
    """the colours follow the browser's scheme"""
    needs_browser()
    ask = "return getComputedStyle(document.getElementById('paper')).fill;"
    for dark, want in ((False, "rgb(255, 255, 255)"), (True, "rgb(20, 23, 26)")):
        if (got := asked("scheme.html", "<!DOCTYPE html><body>" + made("usual", "svg"), ask, dark)) != want:
            yield f"{'dark' if dark else 'light'}: {got}"


def policy():
    """a page's script runs under the page's policy, and no other script does"""
    needs_browser()
    (here / "plain.html").write_text(made("usual", "html").replace("</body>", "<script>document.body.id = 'intruder'</script></body>"))
    shown = browser("plain.html", False)
    if 'class="live"' not in shown or "intruder" in re.sub(r"<script>.*?</script>", "", shown, flags=re.S):
        yield re.search(r"<body[^>]*>", shown).group()


def page():
    """after zoom, search and folding everything is at its time and row, and labels do not overlap"""
    needs_browser()
    script = """
      const frame = () => new Promise(r => setTimeout(r, 20));
      const press = async key => { dispatchEvent(new KeyboardEvent("keydown", { key })); await frame(); };
      await frame();
      const bar = [...document.querySelectorAll(".b[data-l^=flock]")][0], rect = bar.querySelector("rect");
      const x = t => 250 + (t - 2e9) / 6e9 * (document.documentElement.clientWidth - 250 - 24);
      const faults = [];
      await press("+");  // 2 s to 8 s
      const left = Number(rect.getAttribute("x"));
      if (Math.abs(left - x(4e9)) > 0.1) faults.push(`after zooming, the call of 4 s is at ${left}, not ${x(4e9)}`);
      const ticks = [...document.querySelectorAll("#ticks text")].map(t => t.textContent);
      if (!ticks.includes("4.0 s") && !ticks.includes("4 s")) faults.push("ticks " + ticks);
      faults.push(...overlaps());
      await press("+"); await press("+"); await press("d");
      faults.push(...overlaps());
      await press("0");
      faults.push(...overlaps());
      const row = name => [...document.querySelectorAll(".row")].find(r => r.querySelector(".name text")?.textContent === name);
      row("accept").querySelector(".name").dispatchEvent(new MouseEvent("click", { bubbles: true }));
      await frame();
      if (row("client 1").style.display !== "none" || row("main").style.display === "none") faults.push("folding hides the wrong rows");
      const y = r => Number(r.getAttribute("transform").match(/ ([\\d.]+)\\)/)[1]);
      const arrow = [...document.querySelectorAll(".arrow[data-t='6000000000']")][0], tip = Number(arrow.querySelector(".tip").getAttribute("d").match(/ ([\\d.]+)l/)[1]);
      if (tip < y(row("accept")) || tip > y(row("accept")) + Number(row("accept").dataset.h)) faults.push("an arrow to a folded lane ends at " + tip);
      const search = document.getElementById("search");
      search.value = "flock";
      search.dispatchEvent(new Event("input"));
      if (!document.getElementById("hits").textContent.match(/^\\d+ found/)) faults.push("search: " + document.getElementById("hits").textContent);
      await press("n");
      if (row("stubborn").style.display === "none") faults.push("what was found is not unfolded");
      faults.push(...overlaps());
      return faults;
    """
    yield from asked("page.html", HIDE_POLICY.sub(FRAMES, made("usual", "html")), script)


# A script that finds truncated texts of the head, and the place of the first failure's label.
HEAD = """
  const cut = () => {
    const svg = document.getElementById("picture"), right = svg.viewBox.baseVal.width, faults = [];
    for (const text of document.querySelectorAll(".title, .subtitle, .key"))
      if (text.getBBox().x + text.getBBox().width > right) faults.push(text.textContent + " is cut off");
    const first = document.querySelector("#first text").getBBox(), plot = Number(svg.dataset.x);
    if (first.x < plot || first.x + first.width > right) faults.push("the first failure's label is cut off");
    return faults;
  };
"""


def narrow():
    """in a narrow window no text of the head is truncated, wherever the first failure is"""
    needs_browser()
    script = HEAD + """
      const frame = () => new Promise(r => setTimeout(r, 20));
      await frame();
      const faults = cut();
      for (const key of "+++ddda") {
        dispatchEvent(new KeyboardEvent("keydown", { key }));
        await frame();
        const at = Number(document.querySelector("#first path").getAttribute("d").match(/^M(\\S+)/)[1]), svg = document.getElementById("picture");
        if (at > 250 && at < svg.viewBox.baseVal.width - 24) faults.push(...cut());
      }
      return faults;
    """
    yield from asked("narrow.html", HIDE_POLICY.sub(FRAMES, made("usual", "html")), script, width=700)


def paper():
    """on paper no lane is split between two pages, and each page has the axis; afterwards the page is as before"""
    needs_browser()
    script = HEAD + """
      const y = r => Number(r.getAttribute("transform").match(/ ([\\d.]+)\\)/)[1]);
      const frame = () => new Promise(r => setTimeout(r, 20));
      await frame();
      const rows = [...document.querySelectorAll(".row")], before = rows.map(y).join();
      dispatchEvent(new Event("beforeprint"));
      const svg = document.getElementById("picture"), page = svg.viewBox.baseVal.width * 190 / 277, faults = cut(), pages = new Set();
      for (const row of rows) {
        const top = y(row), bottom = top + Number(row.dataset.h);
        pages.add(Math.floor(top / page));
        if (Math.floor((top - 2) / page) !== Math.floor((bottom + 2) / page)) faults.push(row.querySelector(".name text").textContent + " is cut");
      }
      const ticks = group => [...group.querySelectorAll(".tick")].map(t => t.textContent + t.getAttribute("x")).join();
      const copies = [...document.querySelectorAll(".copy")];
      if (pages.size < 3 || copies.length !== pages.size - 1) faults.push(`${copies.length} copies of the axis on ${pages.size} pages`);
      if (copies.some(c => ticks(c) !== ticks(document.getElementById("axis")))) faults.push("the axes differ");
      if (rows.some(r => r.style.display !== "none" && ![...r.querySelectorAll(".call text")].some(t => t.textContent) && r.querySelector(".call")))
        faults.push("a lane without labels");
      dispatchEvent(new Event("afterprint"));
      await frame();
      if (document.querySelector(".copy") || rows.map(y).join() !== before) faults.push("the page has changed");
      return faults;
    """
    yield from asked("paper.html", HIDE_POLICY.sub(FRAMES, made("many", "html")), script, width=900)


MARGIN = 10 / 25.4 * 72  # of the paper


def corner(pdf):
    """The colour of a corner of the first page."""
    image = subprocess.run(["pdftoppm", "-r", "20", "-l", "1", pdf], capture_output=True, check=True).stdout
    return tuple(image[-3:])


def printed():
    """a page and a drawing are printed completely, and in light colours, even if the browser is dark"""
    needs_browser()
    if not shutil.which("pdftotext"):
        raise checks.Skip("no pdftotext and pdftoppm: they are in Debian's poppler-utils")
    for form in ("html", "svg"):
        (here / f"printed.{form}").write_text(made("usual", form))
        browser(f"printed.{form}", True, width=700, do=f"--print-to-pdf={here}/printed.pdf")
        found = subprocess.run(["pdftotext", "-bbox", here / "printed.pdf", "-"], capture_output=True, text=True, check=True).stdout
        right = max(float(x) for x in re.findall(r'<page width="([\d.]+)"', found)) - MARGIN
        words = [(float(a), float(b), word) for a, b, word in re.findall(r'<word xMin="([\d.-]+)".* xMax="([\d.-]+)".*>(.*)</word>', found)]
        yield from (f"{form}: {word} is cut off" for a, b, word in words if a < MARGIN - 1 or b > right + 1)
        for want in ("first failure, client 2: Connection", "killed, or still running", "delivered", "9 s", "waitpid(-1)"):
            if want not in " ".join(word for *_, word in words):
                yield f"{form}: no {want!r} on paper: {words}"
        if (colour := corner(here / "printed.pdf")) != (255, 255, 255):
            yield f"{form}: the paper is {colour}"


checks.run([labels, schemes, policy, page, narrow, paper, printed])
