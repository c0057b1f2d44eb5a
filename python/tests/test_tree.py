# SPDX-License-Identifier: MIT
"""tree(): as text and as the table of a notebook, with and without IPython (rule 41)."""
import importlib.util
import pickle
import re
import subprocess
import sys
import threading
import unittest
from html.parser import HTMLParser

import bough
from tools import Gate, ended, started

HOSTILE = '<script>alert("x")</script>&amp;\x1b[31m\n (7), masked: \'\u202e'


class Table(HTMLParser):
    """The cells of a table, by rows; and each tag."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "br":
            self.rows[-1][-1] += "\n"

    def handle_data(self, data):
        if self.rows:
            self.rows[-1][-1] += data


class Trees(unittest.TestCase):
    def a_tree(self, name="waits"):
        """The tree while a child in a branch waits in a critical section, and has a pending interrupt."""
        inside, leave = Gate(), Gate()

        def run():
            with bough.critical_section(budget=None):
                inside.open()
                leave.passed()

        with bough.branch("children") as children:
            child = children.add(run, name=name)
            inside.passed()
            child.interrupt(HOSTILE)
            found = bough.tree()
            leave.open()
        return found

    def test_text(self):
        """a line for each thread, branch, region and request, by str() and repr()"""
        found = self.a_tree()
        lines = str(found).splitlines()
        self.assertEqual(repr(found), str(found))
        self.assertEqual(lines[0], "root")
        self.assertRegex(str(found), r"\n +branch children at .*test_tree\.py:\d+, 1 running")
        self.assertRegex(str(found), r"\n +thread waits \(\d+\), masked: ")
        self.assertRegex(str(found), r"\n +critical section at .*test_tree\.py:\d+ for ")
        self.assertRegex(str(found), r'\n +(pending|met) stop "<script>')
        self.assertNotIn("it writes this", str(found))

    def test_table(self):
        """a row for each thread and branch, with its notes"""
        table = Table(self.a_tree()._repr_html_())
        self.assertEqual(table.rows[0], ["", "id", "level", "state"])
        self.assertEqual({len(row) for row in table.rows}, {4})
        (branch,) = (row for row in table.rows if row[0].startswith("branch children at "))
        self.assertEqual(branch[3].splitlines()[0], "1 running")
        (child,) = (row for row in table.rows if row[0] == "waits")
        self.assertGreater(int(child[1]), 0)
        self.assertEqual(child[2], "masked")
        self.assertIn("\ncritical section at ", child[3])
        self.assertIn(' stop "', child[3])

    def test_hostile(self):
        """names and reasons are text: they add no tag, no control character and no row"""
        for name in HOSTILE, "<b>", "thread (7), masked: ", "&lt;":
            with self.subTest(name=name):
                found = self.a_tree(name)
                plain, table = self.a_tree(), Table(found._repr_html_())
                self.assertEqual(sorted({*table.tags}), ["br", "span", "table", "tbody", "td", "th", "thead", "tr"])
                self.assertEqual(len(table.rows), len(Table(plain._repr_html_()).rows))
                self.assertIn(name[:6], "".join(row[0] for row in table.rows))
                self.assertEqual(re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", str(found)), [])

    def test_large(self):
        """a table has a limited number of rows, and shows how many are missing"""
        lines = ["root", *(f"  thread t{i} ({i}), deferred: running" for i in range(1, 2011))]
        found = bough.Tree(lines)
        html = found._repr_html_()
        self.assertEqual(len(Table(html).rows), 1 + 2000 + 1)
        self.assertIn("and 11 more: print() the tree to see them", html)
        self.assertIn("t2010", str(found))

    def test_copy(self):
        """it is a copy, which can be pickled, and stays as it is"""
        found = self.a_tree()
        text = str(found)
        self.assertEqual(str(pickle.loads(pickle.dumps(found))), text)
        self.assertNotIn(" waits ", str(bough.tree()))
        self.assertEqual(str(found), text)

    def test_in_a_critical_section_of_the_caller(self):
        """the calling thread is in it, with its regions, also in a thread that bough has not started"""
        found = []

        def run():
            with bough.critical_section():
                found.append(bough.tree())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertIn("critical section at ", str(found[0]))
        thread = started(lambda: found.append(bough.tree()))
        ended(thread)
        self.assertIn(thread.name, str(found[1]))

    def test_without_anything(self):
        """it needs no opting in, and loads no IPython"""
        code = "import sys, bough; t = bough.tree(); print(t); t._repr_html_(); print('IPython' in sys.modules, bough.report()['opted_in'])"
        run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        self.assertRegex(run.stdout, r"^root\n(.*\n)*False False\n$")

    @unittest.skipUnless(importlib.util.find_spec("IPython"), "there is no IPython for this interpreter")
    def test_ipython(self):
        """IPython's formatters make both forms of the tree"""
        code = """
from IPython.core.interactiveshell import InteractiveShell
import bough
shell = InteractiveShell.instance()
data, _ = shell.display_formatter.format(bough.tree())
print(sorted(data), data["text/plain"].startswith("root"), data["text/html"].startswith("<table "))
"""
        run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(run.stdout.splitlines()[-1], "['text/html', 'text/plain'] True True")


if __name__ == "__main__":
    unittest.main()
