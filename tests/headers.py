# SPDX-License-Identifier: MIT
"""headers.py INCLUDE BUILD CC...: each public header compiles alone, and the block forms in each other without
shadowing anything: in each version of C and C++ that is supported, by gcc and clang, for each version of POSIX that
a program may request."""
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

include, build, cc = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
headers = ["bough.h"] + sorted(f"bough/{p.name}" for p in (include / "bough").glob("*.h"))
cxx = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")

CLANG, CLANGXX = shutil.which("clang"), shutil.which("clang++")


def c(compiler, standard, *flags):
    return compiler and [*compiler, "-x", "c", f"-std={standard}", *flags]


def cpp(compiler, standard, *flags):
    return compiler and [compiler, "-x", "c++", f"-std={standard}", *flags]


# Strict ISO C first, where libc hides its POSIX names; then programs that ask for some version of POSIX.
STANDARDS = ["c99", "c11", "c17", "c2x", "gnu99", "gnu17"]
FEATURES = ["_POSIX_C_SOURCE=1", "_POSIX_C_SOURCE=199309L", "_POSIX_C_SOURCE=200809L", "_XOPEN_SOURCE=500",
            "_XOPEN_SOURCE=700", "_DEFAULT_SOURCE", "_GNU_SOURCE"]
CXX_STANDARDS = ["c++11", "c++14", "c++17", "c++20", "gnu++11", "gnu++20"]
LANGUAGES = [
    *((f"C, {s}", c(cc, s)) for s in STANDARDS),
    *((f"C, c11 with {f}", c(cc, "c11", f"-D{f}")) for f in FEATURES),
    *((f"C, {s}, clang", c(CLANG and [CLANG], s)) for s in STANDARDS),
    *((f"C++, {s}", cpp(cxx, s)) for s in CXX_STANDARDS),
    *((f"C++, {s}, clang", cpp(CLANGXX, s)) for s in CXX_STANDARDS),
    ("C++, c++17, clang with libc++", cpp(CLANGXX, "c++17", "-stdlib=libc++")),
    ("C++, c++17 without exceptions", cpp(cxx, "c++17", "-fno-exceptions")),
]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
BLOCKS = ["BOUGH_BRANCH(outer)", "BOUGH_DEADLINE(BOUGH_MS(1))", "BOUGH_DEADLINE(BOUGH_MS(2))", "BOUGH_CRITICAL(0)",
          "BOUGH_ALLOW", "BOUGH_CLEANUP(0)", "BOUGH_CRITICAL(0)", "BOUGH_HANDLE(handle, 0)",
          "BOUGH_HANDLE_FINAL(handle, 0)", "BOUGH_CLOSABLE", "BOUGH_FOREIGN", "BOUGH_FOREIGN", "BOUGH_BRANCH(inner)"]

# Included twice, to test the guard as well.
sources = {h: f"#include <{h}>\n#include <{h}>\nint main(void);\nint main(void) {{ return 0; }}\n" for h in headers}
sources["the blocks"] = """#include <bough.h>
static int handle(struct bough_incident *incident, void *argument) { (void)incident, (void)argument; return 0; }
int main(void)
{
%s bough_check(); %s
return 0;
}
""" % (" {\n".join(BLOCKS) + " {", "}" * len(BLOCKS))

# A jump and an asynchronous region use the POSIX part of <setjmp.h>.
sources["the jumps"] = """#include <bough.h>
static struct bough_jmp out;
static struct bough_async compute;
int main(void)
{
    if (bough_setjmp(&out) != 0)
        return 0;
    if (bough_async_begin(&compute) == 0)
        bough_async_end(&compute);
    bough_longjmp(&out, 1);
}
"""

# The options of a block are a list in C, and in C++ from C++20 on; in each version of C++ they may be a variable.
sources["the options"] = """#include <bough.h>
int main(void)
{
#ifdef __cplusplus
    bough_branch_options options = {};
    options.timeout = BOUGH_SEC(5);
    BOUGH_BRANCH(slow, options) bough_check();
#endif
#if !defined(__cplusplus) || __cplusplus > 201703L
    BOUGH_BRANCH(named, .label = "workers", .timeout = BOUGH_SEC(5), .supervisor = 1) bough_check();
#endif
    return 0;
}
"""


def works(command):
    """Is the compiler installed, with this language and its library?"""
    source = "#ifdef __cplusplus\n#include <exception>\n#endif\nint main(void) { return 0; }\n"
    return command and subprocess.run([*command, "-fsyntax-only", "-"], input=source, text=True, capture_output=True,
                                      cwd=build).returncode == 0


def compiled(case):
    (name, source), (language, command) = case
    if language not in there:
        return f"{name} as {language} # SKIP no such compiler", 0, ""
    run = subprocess.run([*command, *WARNINGS, f"-I{include}", "-fsyntax-only", "-"],
                         input=source, text=True, capture_output=True, cwd=build)
    return f"{name} as {language}", run.returncode, run.stderr


there = {language for language, command in LANGUAGES if works(command)}
cases = [(source, language) for source in sources.items() for language in LANGUAGES]
failed = 0
print(f"1..{len(cases)}")
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for number, (title, status, errors) in enumerate(pool.map(compiled, cases), 1):
        failed += status != 0
        print(f"{'ok' if status == 0 else 'not ok'} {number} - {title}", flush=True)
        for line in errors.splitlines()[:20] if status else ():
            print("#", line)
sys.exit(failed > 0)
