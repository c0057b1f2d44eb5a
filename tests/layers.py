# SPDX-License-Identifier: MIT
"""layers.py ROOT: a file includes its own layer or a lower one, and the public headers nothing internal."""
import re
import sys
from pathlib import Path

import checks

root = Path(sys.argv[1])
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
MACHINE = re.compile(r"^[ \t]*#.*\b__(x86_64|aarch64|i386|arm|riscv|powerpc|powerpc64|s390|s390x|mips|loongarch)(?:__)?\b", re.M)
STATIC = re.compile(r"^(?:BO_\w+ |__attribute__\(\(.*?\)\) )*static (?!inline)[^\n=;{(]*?\b(\w+)\([^;{]*\)\s*\n\{", re.M)
ENDINGS = {".c", ".h", ".S", ".def"}

# The folders of src/, from the lowest layer up. Each may include those before it, the upcalls and the public headers:
# CONTRIBUTING.md has the table.
ORDER = "base arch trace state wake thread sync branch calls api inspect interpose ladder preload".split()
LAYERS = {name: set(ORDER[: at + 1]) | {"upcalls", "public"} for at, name in enumerate(ORDER)}
LAYERS["base"], LAYERS["arch"], LAYERS["preload"] = {"base"}, {"base", "arch"}, {"base", "public"}
LAYERS["interpose"] -= {"inspect"}
LAYERS["ladder"] -= {"interpose"}
LAYERS["upcalls"] = {"base", "state", "public"}


def files(folder):
    return sorted(p for p in (root / folder).rglob("*") if p.suffix in ENDINGS)


def owner(name):
    """The layer that an included file belongs to; None for libc's headers."""
    if name == "bough.h" or name.startswith("bough/"):
        return "public"
    if not (root / "src" / name).exists() and not name.endswith(".inc"):
        return None
    first = name.split("/")[0].removesuffix(".h")
    return first if first in LAYERS else None


def includes(path):
    for quote, name in INCLUDE.findall(path.read_text()):
        yield quote, name, owner(name)


def check_sources():
    """a file of src/ includes its own layer or a lower one"""
    for path in files("src"):
        layer = path.relative_to(root / "src").parts[0].removesuffix(".h")
        if layer not in LAYERS:
            yield f"{path.relative_to(root)}: src/{layer} is in no layer"
            continue
        for quote, name, belongs in includes(path):
            if belongs and belongs not in LAYERS[layer]:
                yield f"{path.relative_to(root)}: {layer} must not include {name}"
            if quote == '"' and belongs is None:
                yield f"{path.relative_to(root)}: include \"{name}\" by its path from src/"


def check_public():
    """the public headers include nothing internal"""
    for path in files("include"):
        for quote, name, belongs in includes(path):
            if quote == '"' or belongs not in (None, "public"):
                yield f"{path.relative_to(root)}: a public header must not include {name}"


def check_users():
    """tests, examples, benchmarks and the Python package use the public headers, except for the folders that may look inside"""
    inside = [root / "tests" / folder for folder in ("races", "ladder", "cli", "inspect")]
    for folder in ("tests", "examples", "bench", "python"):
        for path in files(folder):
            if any(path.is_relative_to(folder) for folder in inside):
                continue
            for _, name, belongs in includes(path):
                mine = (root / "python/src" / name).exists() and path.is_relative_to(root / "python/src")
                if belongs not in (None, "public") and not mine:
                    yield f"{path.relative_to(root)}: {name} is internal"


ALLOWED_IN_CLI = {"base/plain.h", "state/arena.h", "state/mailbox_layout.h", "thread/level.h", "trace/layout.h", "inspect/syscalls.inc"}


def check_command():
    """the command reads the library's memory: it includes only the headers that define its layout"""
    for path in files("cli"):
        for _, name, belongs in includes(path):
            if belongs and name not in ALLOWED_IN_CLI:
                yield f"{path.relative_to(root)}: cli must not include {name}"


def check_machines():
    """no code outside src/arch depends on the machine"""
    for folder in [f"src/{name}" for name in ORDER if name != "arch"] + ["include"]:
        for path in files(folder):
            for match in MACHINE.findall(path.read_text()):
                yield f"{path.relative_to(root)}: __{match}__ outside src/arch"


GETENV = re.compile(r"\bgetenv\(")


def check_environment():
    """the library reads its environment by secure_getenv(), because the caller controls that of a set-user-ID program"""
    for folder in ("src", "python/src"):
        for path in files(folder):
            if GETENV.search(path.read_text()):
                yield f"{path.relative_to(root)}: getenv()"


YIELD = re.compile(r"\b(?:SYS_)?sched_yield[(),]")
YIELDS = {"base/futex.c"}  # bo_yield() stops yielding where a yield is expensive


def check_yields():
    """the library yields only by bo_yield(): a loop of yields starves threads of a lower priority, and costs time slices"""
    for path in files("src"):
        name = str(path.relative_to(root / "src"))
        if YIELD.search(path.read_text()) and name not in YIELDS:
            yield f"src/{name}: yields without bo_yield()"


VARIABLE = re.compile(
    r"^(?:static (?:const )?(?:struct |enum |union )?[\w ]*?[\w*] [\w, *]*?|\} )(\w+(?:, \w+)*)(?:\[.*?\])*(?: =|;)", re.M
)


def check_statics():
    """no two files of src/, or of python/src/, have a static function or variable of the same name, so that grep, gdb and backtraces
    distinguish them"""
    for folder in ("src", "python/src"):
        found = {}
        for path in sorted((root / folder).glob("*/*.c")):  # without src/arch, whose machines have the same names
            text = path.read_text()
            names = {f"{name}()" for name in STATIC.findall(text)}
            for listed in VARIABLE.findall(text):
                names.update(listed.split(", "))
            for name in names:
                found.setdefault(name, []).append(str(path.relative_to(root)))
        for name, places in sorted(found.items()):
            if len(places) > 1:
                yield f"{name} is in {', '.join(places)}"


def check_licences():
    """each file begins with its licence"""
    for folder in ("src", "include", "cli", "tests", "examples", "bench", "python"):
        for path in files(folder):
            if "SPDX-License-Identifier: MIT" not in path.read_text().split("\n", 1)[0]:
                yield f"{path.relative_to(root)}: line 1 has no SPDX-License-Identifier: MIT"


def check_lists():
    """meson.build names each source and each test, so that each file is built"""
    for folder, pattern in (
        ("cli", "**/*.c"),
        ("src", "*/**/*.[cS]"),
        ("include", "**/*.h"),
        ("tests", "*/*.c"),
        ("python/src", "*/*.c"),
        ("python/bough", "*.py*"),
        ("python/tests", "test_*.py"),
    ):
        listed = (root / ("meson.build" if folder == "include" else f"{folder}/meson.build")).read_text()
        for path in sorted((root / folder).glob(pattern)):
            name = str(path.relative_to(root / folder))
            if name.startswith("snippets/"):
                continue  # tests/snippets.py uses each file whose page exists
            wanted = f"'{path.stem.removeprefix('test_')}'" if folder.endswith("tests") else f"{name}'"
            if wanted not in listed and f"'{name}'" not in listed:
                yield f"{folder}/{name} is in no list of a meson.build"


if __name__ == "__main__":
    checks.run(
        [
            check_sources,
            check_public,
            check_users,
            check_command,
            check_machines,
            check_statics,
            check_environment,
            check_yields,
            check_licences,
            check_lists,
        ]
    )
