# SPDX-License-Identifier: MIT
"""headers.py INCLUDE BUILD CC...: each public header compiles alone, as C11, C++11 and C++17."""
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
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

print(f"1..{len(headers) * len(LANGUAGES)}")
number = failed = 0
for header in headers:
    for language, command in LANGUAGES:
        number += 1
        title = f"{number} - {header} as {language}"
        if not command:
            print(f"ok {title} # SKIP no C++ compiler")
            continue
        # Twice: the guard is tested as well.
        source = f"#include <{header}>\n#include <{header}>\nint main(void);\nint main(void) {{ return 0; }}\n"
        run = subprocess.run([*command, *WARNINGS, f"-I{include}", "-fsyntax-only", "-"],
                             input=source, text=True, capture_output=True, cwd=build)
        failed += run.returncode != 0
        print(f"{'ok' if run.returncode == 0 else 'not ok'} {title}")
        for line in run.stderr.splitlines()[:20]:
            print("#", line)
sys.exit(failed > 0)
