# SPDX-License-Identifier: MIT
"""
compare.py KIND TARGET [PATTERN...]: runs tests of other projects with and without bough, and compares which of them
pass. Prints TAP.

KIND is unittest, with a module or package below CPython's `test` as TARGET, or pytest, with a package, or a file or
folder of one. With PATTERNs only the tests run whose names match one.

Each file runs in three modes, in separate processes: without bough (plain), with the main thread opted in (main), and
with every thread opted in (every). The tests of concurrent.futures also run with bough's executor in place of
ThreadPoolExecutor (executor). A test whose outcome differs runs again, alternately without and with bough, until it
fails without bough (then it varies, and is skipped), or a second time with bough alone (then it has failed).
differences.toml names the differences that are allowed, and the tests that are left out.
"""
import fcntl
import fnmatch
import importlib.util
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODES = ("plain", "main", "every", "executor")
SCALE = float(os.environ.get("T_SCALE", 1))
LIMIT = 180 * SCALE  # the seconds without a line after which a process counts as hanging
ROUNDS = 4  # the number of times that a test that differs runs again
RESTARTS = 20  # the number of processes for a file, if tests crash or hang
EXIT = "the exit of the process"


# ---- environments ----------------------------------------------------------------------------------------------------


def make_environment(folder, mode, package):
    """Makes a virtual environment whose processes all start in this mode. Several compare.py may share one."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, system_site_packages=True, symlinks=True, clear=True)
    version = "python{}.{}".format(*sys.version_info)
    site = folder / "lib" / version / "site-packages"
    lines = [str(package)]
    if mode != "plain":
        lines.append(f"import opted; opted.opt_in({mode!r})" if mode != "executor" else "import opted; opted.replace_executor()")
    put(site / "opted.py", (HERE / "opted.py").read_text())
    put(site / "opted.pth", "\n".join(lines) + "\n")
    return python


def put(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def environments():
    package = Path(importlib.util.find_spec("bough").origin).resolve().parents[1]
    folder = package / "cpython"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {mode: make_environment(folder / mode, mode, package) for mode in MODES}


def variables(folder):
    """The environment variables of the tests' processes. In each mode the virtual environment's .pth file adds
    bough."""
    ours = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHON_GIL", "MESON_TEST_ITERATION", "LD_LIBRARY_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("BOUGH")}
    return {**kept, "TMPDIR": str(folder), "HOME": str(folder)}


# ---- a run -----------------------------------------------------------------------------------------------------------


class Outcome:
    def __init__(self, what, text="", seconds=0.0):
        self.what, self.text, self.seconds = what, text, seconds

    @property
    def passed(self):
        return self.what == "passed"


class Run:
    """One process: the outcomes of the tests that it has run, by name."""

    def __init__(self, python, kind, target, only, without):
        self.outcomes, self.running, self.done, self.rest = {}, None, False, b""
        self.folder = Path(tempfile.mkdtemp(prefix="tests-"))
        choice = self.folder / "choice.json"
        choice.write_text(json.dumps({"only": only, "without": without}))
        reader, writer = os.pipe()
        try:
            with open(self.folder / "output", "wb") as output:
                self.process = self.start([python, HERE / "inside.py", kind, target, choice], writer, output)
            os.close(writer)
            self.read_all(reader)
            self.output = (self.folder / "output").read_text(errors="replace")
        finally:
            os.close(reader)
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, command, writer, output):
        work = self.folder / "work"
        work.mkdir()

        def prepare():
            os.dup2(writer, 3)

        return subprocess.Popen(
            [str(part) for part in command],
            cwd=work,
            env=variables(self.folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(3,) if writer == 3 else (3, writer),
            preexec_fn=prepare,
        )

    def read_all(self, reader):
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            while selector.select(LIMIT):
                piece = os.read(reader, 65536)
                if not piece:
                    break
                self.take(piece)
        self.end()

    def take(self, piece):
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in map(json.loads, lines):
            if "begins" in line:
                self.running = line["begins"]
            elif "ends" in line:
                self.running = None
                self.outcomes[line["ends"]] = Outcome(line["outcome"], line["text"], line["seconds"])
            else:
                self.done = True

    def end(self):
        """Ends the process, and processes that the tests have left behind."""
        try:
            status = self.process.wait(LIMIT if self.done else 1)
            how = None if status == 0 else f"status {status}"
        except subprocess.TimeoutExpired:
            how = f"nothing for {LIMIT:g} s"
            self.process.send_signal(signal.SIGABRT)  # faulthandler writes the stacks
            time.sleep(1)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.running is not None:
            self.outcomes[self.running] = Outcome("failed", f"the process ended: {how}")
        elif how is not None:
            self.outcomes[EXIT] = Outcome("failed", f"{how}")


def run(python, kind, target, only=None, without=()):
    """The outcomes of all tests. After a test that ends its process, or hangs, another process runs the rest."""
    outcomes, without = {}, list(without)
    for _ in range(RESTARTS):
        one = Run(python, kind, target, only, without)
        if not one.done:
            last = "\n".join(one.output.splitlines()[-60:])
            for outcome in one.outcomes.values():
                if outcome.text.startswith("the process ended"):
                    outcome.text += "\n" + last
        outcomes.update(one.outcomes)
        if one.done or one.running is None:
            break
        without += one.outcomes
        if only is not None and not set(only) - set(without):
            break
    else:
        outcomes[EXIT] = Outcome("failed", f"{RESTARTS} processes have crashed or hung")
    if not one.done and one.running is None:
        outcomes[EXIT] = Outcome("failed", "the tests could not be run:\n" + "\n".join(one.output.splitlines()[-30:]))
    outcomes.setdefault(EXIT, Outcome("passed"))
    return outcomes


# ---- known differences -----------------------------------------------------------------------------------------------


class Known:
    """The entries of differences.toml for this interpreter."""

    def __init__(self):
        with open(HERE / "differences.toml", "rb") as file:
            entries = tomllib.load(file)
        self.left_out = [e for e in entries.get("left_out", ()) if self.is_of_this(e)]
        self.differences = [e for e in entries.get("difference", ()) if self.is_of_this(e)]
        for entry in (*self.left_out, *self.differences):
            assert entry["test"] and entry["reason"], f"differences.toml: an entry needs a test and a reason: {entry}"

    @staticmethod
    def is_of_this(entry):
        return "{}.{}".format(*sys.version_info) in entry.get("versions", ["{}.{}".format(*sys.version_info)])

    def difference(self, name, mode):
        for entry in self.differences:
            if mode in entry.get("modes", MODES) and (name == entry["test"] or fnmatch.fnmatchcase(name, entry["test"])):
                return entry["reason"]
        return None


# ---- the comparison --------------------------------------------------------------------------------------------------


def modes_of(target):
    return MODES if target == "test_concurrent_futures" else MODES[:-1]


class Comparison:
    """The comparison of one file of tests."""

    def __init__(self, pythons, kind, target, only, known):
        self.pythons, self.kind, self.target, self.known = pythons, kind, target, known
        self.left_out = [e["test"] for e in known.left_out]
        self.modes = modes_of(target)
        self.outcomes = {mode: self.run(mode, only) for mode in self.modes}

    def run(self, mode, only):
        return run(self.pythons[mode], self.kind, self.target, only, self.left_out)

    def names(self):
        return dict.fromkeys(name for outcomes in self.outcomes.values() for name in outcomes)

    def of(self, name, mode):
        return self.outcomes[mode].get(name) or Outcome("not there")

    def verdicts(self):
        """name -> (ok, reason of a skip, text). A test that fails without bough is skipped."""
        found, different = {}, []
        lost = [mode for mode in self.modes[1:] if not self.of(EXIT, mode).passed and self.of(EXIT, "plain").passed]
        if lost and len(self.outcomes[lost[0]]) == 1:  # no test has run
            return {EXIT: self.again(EXIT, lost[0])}
        for name in self.names():
            plain = self.of(name, "plain")
            modes = [mode for mode in self.modes[1:] if self.of(name, mode).passed != plain.passed]
            wrong = [mode for mode in modes if self.known.difference(name, mode) is None]
            if wrong:
                different += [(name, mode) for mode in wrong]
            elif modes:
                found[name] = (True, f"differs ({' and '.join(modes)}): {self.known.difference(name, modes[0])}", "")
            elif plain.passed:
                found[name] = (True, None, "")
            else:
                found[name] = (True, f"{plain.what} without bough: {first_line(plain.text)}", "")
        for name, mode in different:
            verdict = self.again(name, mode)
            if name not in found or found[name][0]:
                found[name] = verdict
        return found

    def again(self, name, mode):
        """The verdict for a test that differs in this mode."""
        if name == EXIT:
            return False, None, f"plain: {self.of(name, 'plain').text}\n{mode}: {self.of(name, mode).text}"
        text = self.of(name, mode).text
        for _ in range(ROUNDS):
            plain, ours = (self.run(m, [name]).get(name) or Outcome("not there") for m in ("plain", mode))
            if not (plain.passed and self.of(name, "plain").passed):
                return True, f"varies without bough: {first_line(plain.text or self.of(name, 'plain').text)}", ""
            if not ours.passed:
                return False, None, f"{mode}: {ours.what}\n{ours.text}\nthe first time:\n{text}"
        return True, f"differed once in {ROUNDS + 1} runs ({mode}): {first_line(text)}", text


def first_line(text):
    """The most informative line: of a traceback the last one."""
    lines = [line for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines and lines[0].startswith("Traceback") else lines[0] if lines else "").strip()[:160]


# ---- TAP -------------------------------------------------------------------------------------------------------------


class Tap:
    def __init__(self):
        self.number, self.failed = 0, 0

    def say(self, name, ok, skipped=None, text=""):
        self.number += 1
        self.failed += not ok
        reason = f" # SKIP {skipped.replace('#', '')}" if skipped is not None else ""
        print(f"{'' if ok else 'not '}ok {self.number} - {name.replace('#', ' ')}{reason}")
        for line in text.splitlines():
            print("#", line)
        sys.stdout.flush()


def targets(kind, target):
    """The files of tests, one after the other for a package."""
    if kind == "pytest":
        package, _, rest = target.partition("/")
        path = Path(importlib.util.find_spec(package).origin).parent / rest
        return [str(path)] if path.exists() else []
    spec = importlib.util.find_spec("test." + target)
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        return ["test." + target]
    files = sorted(Path(spec.submodule_search_locations[0]).glob("test_*.py"))
    return [f"test.{target}.{path.stem}" for path in files] or ["test." + target]


def is_there(kind, target):
    try:
        return bool(targets(kind, target))
    except (ImportError, AttributeError):
        return False


def main(kind, target, *only):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not is_there(kind, target):
        print(f"1..0 # SKIP {sys.executable} has no {target}")
        return 0
    tap, known, pythons = Tap(), Known(), environments()
    for file in targets(kind, target):
        began = time.monotonic()
        comparison = Comparison(pythons, kind, file, list(only) or None, known)
        for name, verdict in comparison.verdicts().items():
            tap.say(name if name != EXIT else f"{file}: {EXIT}", *verdict)
        print(f"# {file}: {time.monotonic() - began:.1f} s")
    print(f"1..{tap.number}")
    return tap.failed > 0 or tap.number == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
