#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""calls.py: generates files from the table of calls, src/calls/calls.def, and checks it.

    calls.py header OUT    include/bough/calls.h, which is checked in
    calls.py man FOLDER    bough_NAME.3 for each row
    calls.py check         calls.h is current, each row is sound and has a test, POSIX's list is complete
"""
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "src/calls/calls.def"
HEADER = ROOT / "include/bough/calls.h"
RECIPES = ROOT / "tests/calls"
REVISED = "November 30, 2026"  # the date of the texts below, for the manual pages
WIDTH = 120

# ---- what POSIX requires ----------------------------------------------------------------------------------------

# XSH 2.9.5.2, "cancellation points shall occur"; fcntl for F_SETLKW (2024: F_OFD_SETLKW too), lockf for F_LOCK.
POSIX_2017 = """
    accept aio_suspend clock_nanosleep close connect creat fcntl fdatasync fsync getmsg getpmsg lockf mq_receive mq_send
    mq_timedreceive mq_timedsend msgrcv msgsnd msync nanosleep open openat pause poll pread pselect
    pthread_cond_timedwait pthread_cond_wait pthread_join pthread_testcancel putmsg putpmsg pwrite read readv recv
    recvfrom recvmsg select sem_timedwait sem_wait send sendmsg sendto sigsuspend sigtimedwait sigwait sigwaitinfo
    sleep tcdrain wait waitid waitpid write writev
""".split()
POSIX_2024 = """
    accept4 cnd_timedwait cnd_wait posix_close ppoll pthread_cond_clockwait sem_clockwait thrd_join thrd_sleep
""".split()
ELSEWHERE = {
    **dict.fromkeys(["getmsg", "getpmsg", "putmsg", "putpmsg"], "STREAMS: Linux has none, and POSIX.1-2024 neither"),
    "pthread_testcancel": "it is bough_check()",
}

# ---- the table -----------------------------------------------------------------------------------------------------


@dataclass
class Call:
    group: str
    straight: bool
    returns: str
    name: str
    params: str
    args: list
    raw: str
    fails: str
    header: str
    standard: str
    brief: str
    cut: str

    @property
    def ours(self):
        return f"bough_{self.name}"

    @property
    def is_point(self):
        return self.fails != "NEVER"


def arguments(text, start):
    """The arguments of the macro call whose parenthesis opens at `start`, and the end of that call."""
    found, depth, at, begin = [], 0, start, start + 1
    while True:
        c = text[at]
        if c == '"':
            at = text.index('"', at + 1)
        elif c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        if depth == 0 or (depth == 1 and c == ","):
            found.append(" ".join(text[begin:at].split()))
            begin = at + 1
        if depth == 0:
            return found, at
        at += 1


def string(literals):
    return "".join(re.findall(r'"([^"]*)"', literals))


def names(parenthesised):
    inner = parenthesised.strip()[1:-1].strip()
    return [a.strip() for a in inner.split(",")] if inner else []


def read_table():
    text = re.sub(r"/\*.*?\*/", "", TABLE.read_text(), flags=re.S)
    text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    groups, calls = {}, []
    for match in re.finditer(r"^(GROUP|CALL|CUSTOM|VARIADIC)\(", text, flags=re.M):
        kind = match.group(1)
        fields, _ = arguments(text, match.end() - 1)
        if kind == "GROUP":
            groups[fields[0]] = string(fields[1])
            continue
        returns, name, params, args, how, _, _, _, *texts = fields
        straight = kind == "CALL"
        calls.append(Call(list(groups)[-1], straight, returns, name, params, names(args), how if straight else "",
                          "MINUS_ONE" if straight else how, *map(string, texts)))
    return groups, calls


# ---- the header ---------------------------------------------------------------------------------------------------

PREAMBLE = """\
/* SPDX-License-Identifier: MIT */
/*
 * The list of interruptible calls. Made from src/calls/calls.def by tools/calls.py: change it there.
 *
 * Each call has the signature, result and errors of its namesake, and one more failure, ECANCELED (rules 9 to 11). The
 * call reports it as the namesake reports errors: by -1 with errno; by an error number, if the namesake returns one
 * (pthread_*, sigwait, clock_nanosleep); the comments of the few other calls describe their results. The sentence after
 * "Interrupted:" is true when the call fails with ECANCELED. All calls except close are [point]s.
 *
 * The calls are no cancellation points: pthread_cancel() acts only on those that wait inside libc (sem_wait and the
 * like). The wake signal (SIGURG) is removed from the masks of ppoll() and the like, and from the sets of sigwait() and
 * the like: no call can wait for it.
 */
#ifndef BOUGH_CALLS_H
#define BOUGH_CALLS_H

#include <bough/types.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;
struct aiocb;
struct epoll_event;
struct iovec;
struct mmsghdr;
struct open_how;
struct rusage;
struct sembuf;
struct timeval;

/* Where libcs differ in a namesake's types. */
#ifdef __GLIBC__
typedef unsigned long bough_ioctl_request;
typedef int bough_mmsg_flags;
#else
typedef int bough_ioctl_request;
typedef unsigned bough_mmsg_flags;
#endif

/*
 * Types that libc hides in strict ISO C and in old versions of POSIX (-std=c11, _POSIX_C_SOURCE=1). The functions are
 * declared all the same, with compatible types. A macro that libc defines with each type shows whether it is there.
 */
#ifdef SI_USER
typedef siginfo_t bough_siginfo;
#else
typedef struct bough_siginfo bough_siginfo;
#endif
#if !defined(__GLIBC__) || defined(__idtype_t_defined)
typedef idtype_t bough_idtype;
#else
typedef unsigned bough_idtype;
#endif
typedef unsigned bough_id; /* id_t */
"""

POSTAMBLE = """
#ifdef __cplusplus
}
#endif
#endif
"""

CUT = {
    "MINUS_ONE": "Interrupted: {}",
    "NUMBER": "Interrupted: {}",
    "THRD": "Interrupted (thrd_error, errno is ECANCELED): {}",
    "THRD_SLEEP": "Interrupted (-2, errno is ECANCELED): {}",
    "UNSLEPT": "Interrupted (errno is ECANCELED): {}",
    "EAI": "Interrupted (EAI_SYSTEM, errno is ECANCELED): {}",
    "NEVER": "{}",
}


def lower(sentence):
    return sentence[0].lower() + sentence[1:]


def comment(call):
    cut = CUT[call.fails].format(lower(call.cut) if call.is_point else call.cut)
    text = f"{call.brief[0].upper()}{call.brief[1:]}. {cut}"
    if len(text) + 6 <= WIDTH:
        return f"/* {text} */"
    return "/* " + "\n * ".join(textwrap.wrap(text, WIDTH - 6)) + " */"


# Types that libc hides in strict ISO C, and the names that the header has for them.
HIDDEN = {"siginfo_t": "bough_siginfo", "idtype_t": "bough_idtype", "id_t": "bough_id"}


def prototype(call):
    """The call's declaration, in the layout of .clang-format."""
    returns = call.returns if call.returns.endswith("*") else call.returns + " "
    head = f"BOUGH_API {returns}{call.ours}("
    lines, line = [], head
    params = re.sub(r"\w+", lambda word: HIDDEN.get(word[0], word[0]), call.params[1:-1])
    for number, param in enumerate(params.split(", ")):
        piece = param if number == 0 else ", " + param
        if len(line) + len(piece) + 2 > WIDTH:
            lines.append(line + ",")
            line, piece = " " * len(head), param
        line += piece
    return "\n".join([*lines, line + ");"])


def make_header():
    groups, calls = read_table()
    out = [PREAMBLE]
    for group, title in groups.items():
        out.append(f"/* ---- {title.lower() if group != 'ipc' else title} ".ljust(100, "-") + " */\n")
        out += [f"{comment(c)}\n{prototype(c)}" for c in calls if c.group == group]
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n" + POSTAMBLE


# ---- the manual pages ----------------------------------------------------------------------------------------------

LIBRARY = {"lockf", "tcdrain", "posix_close", "sleep", "usleep", "sigwait", "getaddrinfo", "getnameinfo"}
CONVENTION = {
    "MINUS_ONE": "\\-1 is returned and\n.Va errno\nis set to\n.Er ECANCELED .",
    "NUMBER": ".Er ECANCELED\nis returned;\n.Va errno\nis not set.",
    "THRD": "C11 has no number for it:\n.Dv thrd_error\nis returned and\n.Va errno\nis set to\n.Er ECANCELED .",
    "THRD_SLEEP": "\\-2 is returned and\n.Va errno\nis set to\n.Er ECANCELED ;\n"
                  "\\-1 still means that a signal ended the sleep.",
    "UNSLEPT": "the number of seconds that were not slept is returned and\n.Va errno\nis set to\n.Er ECANCELED .\n"
               "Set\n.Va errno\nto 0 before the call, to distinguish the two cases.",
    "EAI": ".Dv EAI_SYSTEM\nis returned and\n.Va errno\nis set to\n.Er ECANCELED .",
}


def section(call):
    library = call.name in LIBRARY or call.header in {"mqueue.h", "semaphore.h", "pthread.h", "threads.h", "aio.h"}
    return 3 if library else 2


def synopsis(call):
    includes = [f".In {call.header}", ".In bough.h"]
    params = call.params[1:-1].split(", ")
    args = "\n".join(f'.Fa "{p}"' for p in params) if params != ["void"] else ".Fa void"
    return "\n".join([*includes, f".Ft {call.returns}", f".Fo {call.ours}", args, ".Fc"])


def described(call):
    if not call.is_point:
        return ("It is there so that code can use one family of names.\n"
                "It is not an interruption point: it never fails with\n.Er ECANCELED ,\nnor with\n.Er EINTR .")
    return ("It is an interruptible call: it does what its namesake does, and ends when an interrupt is due for the\n"
            "calling thread, before it or while it blocks.\n"
            "It makes the calling thread known to bough, if it is not known yet.")


def returned(call):
    same = f"The same as from\n.Xr {call.name} {section(call)} ."
    return same if not call.is_point else f"{same}\nIf an interrupt ended it,\n{CONVENTION[call.fails]}"


def errors(call):
    same = f"Those of\n.Xr {call.name} {section(call)}"
    if not call.is_point:
        return f"{same}\nexcept\n.Er EINTR ."
    return (f"{same} ,\nand:\n.Bl -tag -width Er\n.It Bq Er ECANCELED\n"
            "An interrupt is due, and the call had no effect.\n"
            "The interrupt stays until it is cleared by\n.Xr bough_clear 3 ,\nor the thread ends.\n.El")


def notes(call):
    words = "\n".join(re.split(r"(?<=[.:;]) ", call.cut))
    if not call.is_point:
        return words
    return f"After\n.Er ECANCELED :\n{words}\nA completed or partial effect is always returned, and the interrupt stays " \
           "for the next point."


def see_also(call):
    others = sorted([(section(call), call.name), (3, "bough_check"), (3, "bough_interrupt"), (7, "bough")])
    return " ,\n".join(f".Xr {name} {number}" for number, name in others)


def page(call):
    sections = {
        "NAME": f".Nm {call.ours}\n.Nd {call.brief}" + (", interruptibly" if call.is_point else ""),
        "SYNOPSIS": synopsis(call),
        "DESCRIPTION": f"The\n.Fn {call.ours}\nfunction is a drop-in for\n.Xr {call.name} {section(call)} .\n"
                       + described(call),
        "RETURN VALUES": returned(call),
        "ERRORS": errors(call),
        "NOTES": notes(call),
        "SEE ALSO": see_also(call),
        "STANDARDS": f"The\n.Fn {call.name}\nfunction is from {call.standard};\n.Fn {call.ours}\nis bough's.",
    }
    head = [".\\\" SPDX-License-Identifier: MIT", ".\\\" Made from src/calls/calls.def by tools/calls.py.",
            f".Dd {REVISED}", f".Dt {call.ours.upper()} 3", ".Os bough"]
    return "\n".join(head + [f".Sh {title}\n{text}" for title, text in sections.items()]) + "\n"


# ---- the checks ----------------------------------------------------------------------------------------------------


def check_header(_):
    if not HEADER.exists() or HEADER.read_text() != make_header():
        yield f"{HEADER.relative_to(ROOT)} differs from the table: run tools/calls.py header {HEADER}"


def parameter_names(params):
    return [re.search(r"(\w+)(?:\[\])?$", p).group(1) for p in params[1:-1].split(", ") if p not in ("void", "...")]


def check_rows(calls):
    """Finds mistakes that copying a row makes likely."""
    for call in calls:
        given = parameter_names(call.params)
        passed = [a for a in call.args if "..." not in call.params or a in given]
        if given != passed:
            yield f"{call.name}: parameters {given}, arguments {call.args}"
        words = re.findall(r"\w+", call.raw)
        order = [w for w in words if w in given]
        if call.straight and order != given:
            yield f"{call.name}: parameters {given} reach the kernel as {order}"
        if call.fails not in CUT:
            yield f"{call.name}: unknown convention {call.fails}"
        if not call.cut.endswith("."):
            yield f"{call.name}: the text about an interrupted call is not a sentence"
    seen = [c.name for c in calls]
    yield from (f"{n} is in the table twice" for n in set(seen) if seen.count(n) > 1)


def check_recipes(calls):
    text = "".join(p.read_text() for p in sorted(RECIPES.glob("*.c")))
    found = set(re.findall(r"^RECIPE(?:_\w+)?\((\w+)", text, flags=re.M))
    want = {c.name for c in calls}
    yield from (f"{n} has no recipe in tests/calls" for n in sorted(want - found))
    yield from (f"tests/calls has a recipe for {n}, which is not in the table" for n in sorted(found - want))


def check_posix(calls):
    standards = {c.name: c.standard for c in calls}
    for standard, required in (("POSIX.1-2017", POSIX_2017), ("POSIX.1-2024", POSIX_2024)):
        for name in required:
            if name not in ELSEWHERE and standards.get(name) != standard:
                yield f"{name} is required by {standard}; the table says {standards.get(name)}"
        for name, says in standards.items():
            if says == standard and name not in required:
                yield f"{name} is not required by {standard}"


def check():
    _, calls = read_table()
    checks = (check_header, check_rows, check_recipes, check_posix)
    faults = [fault for one in checks for fault in one(calls)]
    print("\n".join(faults) if faults else f"{len(calls)} calls, no faults")
    return 1 if faults else 0


def man(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for call in read_table()[1]:
        (folder / f"{call.ours}.3").write_text(page(call))


def main(arguments):
    match arguments:
        case ["header", out]:
            Path(out).write_text(make_header())
        case ["man", folder]:
            man(Path(folder))
        case ["check"]:
            return check()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
