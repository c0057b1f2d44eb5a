# SPDX-License-Identifier: MIT
"""The code in docs/python.md and in the README files is code."""
import ast
import asyncio
import contextlib
import io
import os
import queue
import re
import socket
import sys
import threading
import time
import unittest
from importlib.util import find_spec

import bough
from guide import ROOT, TEXT, blocks, load
from tools import Gate, until

sys.path.append(str(ROOT / "tools/site"))
import py_reference  # noqa: E402: the generator of the site's page


class Guide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guide = load()

    def test_readme(self):
        """its Python compiles, too"""
        for name in "README.md", "python/README.md":
            for block in blocks((ROOT / name).read_text()):
                compile(block, name, "exec")

    def test_names(self):
        """each name of bough in the guide exists"""
        for name in re.findall(r"\bbough\.([a-zA-Z_]\w*)", TEXT):
            there = hasattr(bough, name) or find_spec(f"bough.{name}")
            self.assertTrue(there or name == "md", name)

    def test_worker(self):
        one, other = socket.socketpair()
        with other:
            self.guide.start_and_stop(one)
        self.assertEqual(one.fileno(), -1)
        with bough.branch() as b:
            b.interrupt()
            self.guide.work([1])
        self.assertTrue(b.interrupted)

    def test_ask(self):
        one, other = socket.socketpair()
        with one, other, self.assertRaises(TimeoutError):
            self.guide.ask(one)
        self.assertEqual(self.guide.ask_all(abs, [-1, 2]), [1, 2])

    def test_results(self):
        self.assertEqual(self.guide.sizes(str, [1, 22, 333]), [1, 2, 3])

        def fetch(url):
            return 1 / 0 if url == "c" else url

        self.assertEqual(sorted(self.guide.as_they_come(fetch, "abc")), [("a", "a"), ("b", "b")])
        self.assertEqual(self.guide.fastest(lambda delay: time.sleep(delay) or delay, [60, 0.01, 60]), 0.01)

    def test_time_limits(self):
        one, other = socket.socketpair()
        with one, other:
            until(lambda: self.guide.greet(other), "a greeting within its 0.5 s")
            other.shutdown(socket.SHUT_WR)
            self.assertEqual(self.guide.receive_all(one), b"hello")
        until(lambda: self.guide.search([3, 1]) == 3, "a search within its second")
        self.assertIsNone(self.guide.search(range(10**6)))
        self.assertTrue(self.guide.lookup("localhost"))

    def test_download(self):
        def fetch(url):
            return 1 / 0 if url == "c" else url

        with self.assertRaises(bough.MultipleError):
            self.guide.download_all(fetch, "c")
        self.assertEqual(self.guide.download_all(fetch, "ab"), ["a", "b"])

    def test_download_fails_early(self):
        """a child that fails before the last one is added"""
        def fetch(url):
            if url == 0:
                raise ConnectionError
            return url

        for count in 3, 30, 300:
            with contextlib.redirect_stdout(io.StringIO()):
                results = self.guide.download_all(fetch, range(count))
            self.assertLessEqual(set(results), set(range(1, count)))

    def test_fetch_all(self):
        """one that fails stops the others"""
        self.assertEqual(self.guide.fetch_all(str.upper, ["a", "b"]), ["A", "B"])
        began, ended = Gate(), []

        def fetch(url):
            if url == "bad":
                began.wait()
                raise ConnectionError
            began.open()
            try:
                threading.Event().wait()
            except bough.ThreadExit as error:
                ended.append(str(error))
                raise

        with self.assertRaises(ConnectionError):
            self.guide.fetch_all(fetch, ["bad", "good"])
        self.assertEqual(len(ended), 1)

    def test_next_job(self):
        jobs = queue.SimpleQueue()
        jobs.put(1)
        self.assertEqual(asyncio.run(self.guide.next_job(jobs)), 1)

    def test_threads(self):
        one, other = socket.socketpair()
        with one, other:
            thread = self.guide.start(one, print)
            thread.interrupt()
            thread.join()
        thread = self.guide.start_computing()
        thread.interrupt()
        thread.join()

    stays = ("anon_inode:*event*", "bough*")

    def test_heartbeat(self):
        with self.guide.heartbeat(lambda: time.sleep(60)) as b:
            pass
        self.assertTrue(b.interrupted)

    def test_regions(self):
        one, other = socket.socketpair()
        with other, one, contextlib.suppress(bough.ThreadExit), bough.branch() as b:
            b.interrupt()
            self.guide.session(one)
        until(self.says_bye, "a farewell within the second of its grace")

    def says_bye(self):
        one, other = socket.socketpair()
        with other:
            with one, bough.branch() as b:
                b.interrupt("x")
                self.guide.session(one)
            return other.recv(10) == b"bye"


class Reference(unittest.TestCase):
    """The site's page about the package: it has each public name, with words."""

    @classmethod
    def setUpClass(cls):
        docs = py_reference.docstrings(":".join(map(os.path.abspath, os.environ["PYTHONPATH"].split(":"))))
        cls.page = py_reference.Reference(docs, lambda number: f"rule-{number}").page()
        entry = r"^(`{3,})\{py:\w+\} (\w+)[^\n]*\n(?::\w+:[^\n]*\n)*\n(.*?)^\1$"
        cls.entries = {name: body for _, name, body in re.findall(entry, cls.page, flags=re.S | re.M)}

    def test_each_name(self):
        """each name of __all__ has an entry, and each entry has a description"""
        self.assertEqual(sorted(set(bough.__all__) - self.entries.keys()), [])
        self.assertEqual([name for name, body in self.entries.items() if not body.strip()], [])

    def test_each_member(self):
        """so has each public method and attribute that the stub has"""
        for node in ast.parse(py_reference.STUB.read_text()).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            wanted = {name for part in node.body for name in py_reference.names_of(part) if not name.startswith("_")}
            entry = r"^(`{3,})\{py:\w+\} (\w+)[^\n]*\n(?::\w+:[^\n]*\n)*\n(.*?)^\1$"
            have = {name: body for _, name, body in re.findall(entry, self.entries[node.name], flags=re.S | re.M)}
            self.assertEqual(wanted, have.keys(), node.name)
            self.assertEqual([name for name, body in have.items() if not body.strip()], [], node.name)


if __name__ == "__main__":
    unittest.main()
