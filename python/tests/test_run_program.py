# SPDX-License-Identifier: MIT
"""`python -m bough run PROGRAM` is `python PROGRAM`: the same output, messages and status, for programs of each kind."""
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from process import BUILD, LIMIT

SHOW = """
import sys, __main__
names = {k: v if k in ("__file__", "__name__", "__package__", "__cached__", "__doc__") else type(v).__name__ for k, v in vars(__main__).items()}
print(sys.argv, sys.path[0], sorted(names.items()), sys.modules["__main__"] is __main__, __name__)
try:
    print(sys._getframe(1).f_code.co_name)
except ValueError as error:
    print(error)
print(sys._getframe().f_code.co_filename)
"""
FILES = {
    "names.py": SHOW,
    "folder/__main__.py": SHOW,
    "package/__init__.py": "",
    "package/__main__.py": SHOW,
    "package/module.py": SHOW,
    "no_main/__init__.py": "",
    "broken/__init__.py": "1 / 0",
    "other/names.py": SHOW,
    "ends.py": "def f():\n    1 / 0\nprint('begun')\nf()\n",
    "group.py": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n",
    "code.py": "import sys\nsys.exit(int(sys.argv[1]))\n",
    "text.py": "raise SystemExit('a text\\nof two lines')\n",
    "object.py": "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E\n",
    "ctrl_c.py": "import atexit\natexit.register(print, 'at exit')\nraise KeyboardInterrupt\n",
    "subclass.py": "class C(KeyboardInterrupt): pass\nraise C\n",
    "hook.py": "import sys\nsys.excepthook = lambda *e: print('hook', e[0], e[2].tb_frame.f_code.co_name, e[2].tb_next)\n1 / 0\n",
    "bad_hook.py": "import sys\nsys.excepthook = None\n1 / 0\n",
    "last.py": "import atexit, sys\natexit.register(lambda: print(repr(sys.last_value)))\n[][0]\n",
    "stack.py": "import traceback, warnings, sys\nsys.stderr = sys.stdout\ntraceback.print_stack()\nwarnings.warn('w', stacklevel=2)\n",
    "syntax.py": "print('not reached')\ndef f(:\n",
    "latin.py": b"# -*- coding: latin-1 -*-\nprint(ascii('\xe9'), __doc__)\n",
    "utf8.py": b"print('\xe9')\n",
    "nul.py": b"a = '\0'\n",
    "doc.py": '"""text"""\nx: int = 1\nprint(__doc__, list(__annotations__))\n',
    "thread.py": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='worker')\nt.start(); t.join(); print('on')\n",
    "spawn.py": (
        "import multiprocessing\ndef f(x):\n    return x * 2\nif __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n    with context.Pool(1) as pool:\n        print(pool.map(f, [1, 2]))\n"
    ),
    "pickles.py": "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))) is C)\n",
    "exits.py": "import atexit, threading\natexit.register(print, 'at exit')\nprint('end')\nthreading.Timer(0.01, print, ['timer']).start()\n",
}
CASES = [
    *("names.py 1 -m --grace", "./names.py", "../here/names.py", "folder x", "archive.zip x", "link.py x"),
    *("-m names x", "-m package -m x", "-m package.module", "-m folder"),
    *("-m nowhere", "-m no_main", "-m names.py", "-m package.nowhere"),
    *("nowhere.py", "no_main", "/", "/proc/1/mem", "names.pyc x"),
    *("ends.py", "group.py", "code.py 3", "code.py -1", "text.py", "object.py"),
    *("ctrl_c.py", "subclass.py", "hook.py", "bad_hook.py", "last.py", "stack.py", "syntax.py", "latin.py", "utf8.py"),
    *("nul.py", "doc.py", "thread.py", "spawn.py", "pickles.py", "exits.py"),
]
CODE = [["-c", SHOW, "x"], ["-c", "def f():\n  1/0\nf()"], ["-c", "1 +"], ["-", "x"], ["--", "names.py", "-h"]]


class Same(unittest.TestCase):
    limit = 200

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.here = Path(self.folder.name, "here")
        for name, text in FILES.items():
            path = self.here / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with zipfile.ZipFile(self.here / "archive.zip", "w") as archive:
            archive.write(self.here / "names.py", "__main__.py")
        (self.here / "link.py").symlink_to("other/names.py")
        compiling = f"import py_compile; py_compile.compile({str(self.here / 'names.py')!r}, {str(self.here / 'names.pyc')!r})"
        subprocess.run([sys.executable, "-c", compiling], check=True)

    def ended(self, before, arguments, environment=()):
        process = subprocess.run(
            [sys.executable, *before, *arguments],
            cwd=self.here,
            env={**os.environ, "PYTHONPATH": str(BUILD), **dict(environment)},
            input=SHOW,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        return process.returncode, process.stdout, self.without_runpy(process.stderr)

    @staticmethod
    def without_runpy(text):
        """Removes the frames by which the interpreter runs a module, because bough shows fewer."""
        return re.sub(r'  File "<frozen runpy>", line \d+, in .*\n', "", text).replace("_run_code", "<no frame>")

    def check(self, arguments, *options):
        plain, under_bough = self.ended((*options,), arguments), self.ended((*options, "-m", "bough", "run"), arguments)
        if "-m" in arguments or arguments[0].startswith(("folder", "archive", "-m")):  # runpy's frames are on the stack
            plain = plain[0], plain[1].replace("_run_code", "call stack is not deep enough"), plain[2]
        self.assertEqual(under_bough, plain)

    def test_code(self):
        """-c, standard input, and the end of the options"""
        for arguments in CODE[:-1]:
            with self.subTest(arguments):
                self.check(arguments)
        self.assertEqual(self.ended(("-m", "bough", "run"), CODE[-1]), self.ended((), CODE[-1][1:]))

    def test_safe_path(self):
        """the interpreter's -P and -I hold for the program"""
        for arguments in (["names.py"], ["-m", "names"], ["folder"]):
            with self.subTest(arguments):
                self.check(arguments, "-P")

    def test_optimised(self):
        self.check(["-c", "assert False; print(__debug__)"], "-O")

    def test_imports(self):
        """a file of the working directory is not taken for a module of the standard library where `python PROGRAM` would not"""
        (self.here / "queue.py").write_text("raise SystemExit('the wrong one')")
        self.check(["other/names.py"])

    def test_no_working_directory(self):
        """the working directory was removed"""
        code = (
            "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); "
            f"os.execv(sys.executable, [sys.executable, *sys.argv[1:], {str(self.here / 'names.py')!r}])"
        )
        self.assertEqual(self.ended(("-c", code), ["-m", "bough", "run"])[:2], self.ended(("-c", code), [])[:2])


def add_tests():
    for case in CASES:
        setattr(Same, f"test {case}", lambda self, case=case: self.check(case.split()))


add_tests()


class Mistakes(unittest.TestCase):
    """Wrong arguments of `run` itself: what was wrong, and the usage; status 2, and nothing is run."""

    def refused(self, *arguments):
        process = subprocess.run(
            [sys.executable, "-m", "bough", "run", *arguments],
            env={**os.environ, "PYTHONPATH": str(BUILD)},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        self.assertEqual((process.returncode, process.stdout), (2, ""))
        first, *rest = process.stderr.splitlines()
        self.assertTrue(rest[0].startswith("usage: python -m bough run "), rest)
        return first

    def test_messages(self):
        for arguments, message in {
            "": "bough: no program is given: a script, -m MODULE or -c COMMAND",
            "-m": "bough: -m needs a module",
            "-c": "bough: -c needs code",
            "--unknown x.py": "bough: unknown option --unknown",
            "-x x.py": "bough: unknown option -x",
            "--grace": "bough: --grace needs a value",
            "--grace soon x.py": "bough: --grace must be a number of seconds, more than 0 and less than 25 days, got 'soon'",
            "--grace nan x.py": "bough: --grace must be a number of seconds, more than 0 and less than 25 days, got 'nan'",
            "--grace=0 x.py": "bough: --grace must be a number of seconds, more than 0 and less than 25 days, got '0'",
            "--report=1 x.py": "bough: --report takes no value",
            "--": "bough: no program is given: a script, -m MODULE or -c COMMAND",
        }.items():
            with self.subTest(arguments):
                self.assertEqual(self.refused(*arguments.split()), message)


if __name__ == "__main__":
    unittest.main()
