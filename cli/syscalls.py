# SPDX-License-Identifier: MIT
"""syscalls.py OUTPUT CC...: the names of the machine's system calls, as its compiler sees them: [NUMBER] = "NAME"."""
import re
import subprocess
import sys

output, cc = sys.argv[1], sys.argv[2:]
run = subprocess.run([*cc, "-E", "-dM", "-x", "c", "-"], input="#include <asm/unistd.h>\n", text=True,
                     capture_output=True, check=True)
defined = dict(re.findall(r"^#define (__NR\w*) (\S+)$", run.stdout, flags=re.M))


def number(name):
    """They are defined by numbers, or by each other."""
    for _ in range(5):
        name = defined.get(name, name)
    return int(name, 0) if re.fullmatch(r"\d+|0x[0-9a-f]+", name) else None


names = {}
for macro in sorted(defined):
    name = macro.removeprefix("__NR_")
    if name != macro and name not in ("syscalls", "arch_specific_syscall") and number(macro) is not None:
        names.setdefault(number(macro), name)
with open(output, "w") as out:
    out.writelines(f'[{n}] = "{name}",\n' for n, name in sorted(names.items()) if n < 4096)
