# SPDX-License-Identifier: MIT
"""
inside.py KIND TARGET CHOICE: runs the tests of TARGET in this process, and writes a line of JSON to descriptor 3 when a
test begins, and when it ends.

KIND is unittest, with a module of CPython's package `test` as TARGET, or pytest, with a file or folder of a package.
CHOICE is a file of JSON with `only` (null, or the tests to run) and `without` (patterns of tests not to run).
"""
import faulthandler
import fnmatch
import json
import os
import sys
import time
import traceback
import unittest
from pathlib import Path

RESULTS = 3
FIXTURES = {"distributed": ["distributed.utils_test"]}  # the installed package lacks its conftest.py


def write(**line):
    os.write(RESULTS, (json.dumps(line) + "\n").encode())


def matches(name, patterns):
    """Compares literally first, because pytest's names have brackets, which are special in a pattern."""
    return name in patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


class Choice:
    def __init__(self, path):
        with open(path) as file:
            choice = json.load(file)
        self.only = None if choice["only"] is None else set(choice["only"])
        self.without = choice["without"]
        self.seen = {}

    def name(self, test):
        """The test's name, with a number from its second occurrence on."""
        count = self.seen[test] = self.seen.get(test, 0) + 1
        return test if count == 1 else f"{test}#{count}"

    def has(self, name):
        if matches(name, self.without):
            return False
        return self.only is None or matches(name, self.only)


# ---- unittest --------------------------------------------------------------------------------------------------------


class Lines(unittest.TestResult):
    def __init__(self, names):
        super().__init__()
        self.names, self.running = names, None

    def startTest(self, test):
        super().startTest(test)
        self.running, self.outcome, self.texts = self.names[id(test)], "passed", []
        self.began = time.monotonic()
        write(begins=self.running)

    def stopTest(self, test):
        super().stopTest(test)
        if self.running is not None:
            seconds = round(time.monotonic() - self.began, 3)
            write(ends=self.running, outcome=self.outcome, text="\n".join(self.texts), seconds=seconds)
            self.running = None

    def note(self, test, outcome, text):
        if self.running is None:  # the outcome of a class or module
            write(ends=self.names.get(id(test)) or str(test), outcome=outcome, text=text, seconds=0)
            return
        self.outcome = outcome
        self.texts.append(text)

    def addError(self, test, error):
        self.note(test, "failed", "".join(traceback.format_exception(*error)))

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error:
            self.note(test, "failed", f"{subtest}:\n" + "".join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test, error):
        pass

    def addUnexpectedSuccess(self, test):
        self.note(test, "failed", "it was expected to fail")


def chosen(suite, choice, names):
    """The suite with the chosen tests only. Stores each test's name by its id()."""
    tests = []
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            tests.append(chosen(test, choice, names))
        else:
            name = choice.name(test.id())
            if choice.has(name):
                names[id(test)] = name
                tests.append(test)
    return type(suite)(tests)


def run_unittest(target, choice):
    from test import support

    support.use_resources = ["cpu", "subprocess", "walltime"]
    support.record_original_stdout(sys.stdout)
    __import__(target)
    names = {}
    suite = chosen(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[target]), choice, names)
    result = Lines(names)
    suite.run(result)


# ---- pytest ----------------------------------------------------------------------------------------------------------


class Plugin:
    def __init__(self, choice):
        self.choice, self.outcome, self.texts = choice, "passed", []

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self.choice.has(self.choice.name(item.nodeid))]

    def pytest_runtest_logstart(self, nodeid):
        self.outcome, self.texts, self.began = "passed", [], time.monotonic()
        write(begins=nodeid)

    def pytest_runtest_logreport(self, report):
        if report.outcome != "passed" and self.outcome != "failed":
            self.outcome = report.outcome
        if report.outcome == "failed":
            self.texts.append(report.longreprtext)
        elif report.skipped:
            self.texts.append(str(getattr(report, "wasxfail", "") or report.longrepr[2]))

    def pytest_runtest_logfinish(self, nodeid):
        seconds = round(time.monotonic() - self.began, 3)
        write(ends=nodeid, outcome=self.outcome, text="\n".join(self.texts), seconds=seconds)


def run_pytest(target, choice):
    import pytest

    # no:asyncio, because trio and distributed run their coroutines themselves
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-m", "not slow", "--continue-on-collection-errors"]
    root = root_of(target)
    for module in FIXTURES.get(Path(target).relative_to(root).parts[0], ()):
        options += ["-p", module]
    pytest.main([*options, "--rootdir", root, target], plugins=[Plugin(choice)])


def root_of(path):
    """The folder that contains the package, from which pytest names the tests. A folder of tests need not be a
    package."""
    packages = [folder for folder in Path(path).parents if (folder / "__init__.py").exists()]
    return str(packages[-1].parent if packages else Path(path).parent)


# ----------------------------------------------------------------------------------------------------------------------


def is_opted_in():
    return "bough" in sys.modules and bool(sys.modules["bough"]._bough.takes_part())


def main(kind, target, choice):
    os.set_inheritable(RESULTS, False)
    mode = os.path.basename(sys.prefix)
    assert is_opted_in() == (mode != "plain"), f"the main thread has not opted in as it should in the mode {mode}"
    faulthandler.enable()
    {"unittest": run_unittest, "pytest": run_pytest}[kind](target, Choice(choice))
    write(done=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
