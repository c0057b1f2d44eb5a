# SPDX-License-Identifier: MIT
"""headers.py INCLUDE BUILD CC...: each public header compiles alone, and the block forms in each other without shadowing
anything, as C11, C++11 and C++17."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

include, build, cc = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
headers = ["bough.h"] + sorted(f"bough/{p.name}" for p in (include / "bough").glob("*.h"))
cxx = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")

# In strict ISO C <setjmp.h> has no sigjmp_buf until POSIX is asked for, as it must be for any use of threads and
# signals.
LANGUAGES = [
    ("C11", [*cc, "-x", "c", "-std=c11", "-D_POSIX_C_SOURCE=200809L"]),
    ("GNU C17", [*cc, "-x", "c", "-std=gnu17"]),
    ("C++11", cxx and [cxx, "-x", "c++", "-std=c++11"]),
    ("C++17", cxx and [cxx, "-x", "c++", "-std=c++17"]),
]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
BLOCKS = ["BOUGH_BRANCH(outer)", "BOUGH_DEADLINE(BOUGH_MS(1))", "BOUGH_DEADLINE(BOUGH_MS(2))", "BOUGH_CRITICAL(0)",
          "BOUGH_ALLOW", "BOUGH_CLEANUP(0)", "BOUGH_CRITICAL(0)", "BOUGH_HANDLE(handle, 0)",
          "BOUGH_HANDLE_FINAL(handle, 0)", "BOUGH_CLOSABLE", "BOUGH_FOREIGN", "BOUGH_FOREIGN", "BOUGH_BRANCH(inner)"]

# Twice: the guard is tested as well.
sources = {h: f"#include <{h}>\n#include <{h}>\nint main(void);\nint main(void) {{ return 0; }}\n" for h in headers}
sources["the blocks"] = """#include <bough.h>
static int handle(struct bough_incident *incident, void *argument) { (void)incident, (void)argument; return 0; }
int main(void)
{
%s bough_check(); %s
return 0;
}
""" % (" {\n".join(BLOCKS) + " {", "}" * len(BLOCKS))

print(f"1..{len(sources) * len(LANGUAGES)}")
number = failed = 0
for name, source in sources.items():
    for language, command in LANGUAGES:
        number += 1
        title = f"{number} - {name} as {language}"
        if not command:
            print(f"ok {title} # SKIP no C++ compiler")
            continue
        run = subprocess.run([*command, *WARNINGS, f"-I{include}", "-fsyntax-only", "-"],
                             input=source, text=True, capture_output=True, cwd=build)
        failed += run.returncode != 0
        print(f"{'ok' if run.returncode == 0 else 'not ok'} {title}")
        for line in run.stderr.splitlines()[:20]:
            print("#", line)
sys.exit(failed > 0)
