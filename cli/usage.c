/* SPDX-License-Identifier: MIT */
/*
 * How each subcommand is used: its help, the error for a wrong use, and the process id that most subcommands take. The
 * table of commands.c has the subcommands' names, too.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/plain.h"
#include "command.h"

static const struct usage {
    const char *name;
    const char *usage, *summary, *details;
} usages[] = {
    {"dump", "dump [--json] [--debug FOLDER] PID", "show everything about a process, its threads' stacks included",
     "The process writes it, on a thread of the library, without a lock and without stopping\n"
     "a thread. If it does not answer, what can be seen from outside is shown instead.\n"
     "Python frames are read from outside in any case: of CPython 3.11 to 3.15.\n\n"
     "  --json            for programs\n"
     "  --debug FOLDER    look for debug files in FOLDER/.build-id, too\n"},
    {"interrupt", "interrupt [--reason TEXT] [--rung N] [--ceiling N] [--yes] [--wait SECONDS] PID TARGET",
     "ask a thread, a branch or everything to stop",
     "TARGET is a thread's id or name, a branch's name, or `all`. If the request is not heeded,\n"
     "it climbs the ladder up to the ceiling: see bough-ladder(7). Up to rung 3 the process\n"
     "continues; rung 4 closes threads permanently; 5 and 6 end the process.\n\n"
     "  --reason TEXT     the reason that the target reads; by default \"asked by an operator\"\n"
     "  --rung N          begin at this rung, 1 to 6, no higher than the ceiling\n"
     "  --ceiling N       climb no higher; by default 3, and 6 for `all`\n"
     "  --yes             don't ask, if it may climb above rung 3; needed without a terminal\n"
     "  --wait SECONDS    wait for its end\n\n"
     "Exit status: 0 posted, or with --wait handled; 3 the request is still open when the wait is over;\n"
     "4 the target was published as lost; 5 the process has ended; 1, 2 as usual.\n"},
    {"picture", "picture [--from SECONDS] [--to SECONDS] [--lanes N] TRACE -o FILE", "draw a recording",
     "TRACE is a recording (BOUGH_TRACE). A lane for each thread, grouped by process and branch: blocking\n"
     "calls, critical sections, interrupts from the thread that posted them to the one they were for,\n"
     "the rungs that each one climbed, and the first failure. The end of FILE's name selects the form:\n\n"
     "  .svg     a drawing\n"
     "  .html    the same drawing in a page with zoom, search and folding, which needs no network\n"
     "  .json    trace events for Perfetto (https://ui.perfetto.dev)\n\n"
     "  -o, --output FILE    the picture; a file of that name is replaced when the picture is complete\n"
     "  --from SECONDS       draw only what is later than this, since the recording's start\n"
     "  --to SECONDS         draw only what is earlier than this\n"
     "  --lanes N            draw at most N lanes, by default 150; a row counts the other threads\n"},
    {"ps", "ps [--json]", "list the processes that use bough",
     "Your processes, or as root all: how many threads and branches each has, and how many\n"
     "incidents are open, which are requests to stop that have not been answered yet.\n\n"
     "  --json    for programs\n"},
    {"record", "record [--seconds N] [--threshold MS] [--size SIZE] [--private] -o FILE PID",
     "record what the threads of a process do",
     "Until Ctrl-C, for N seconds, or until the process ends or is killed. FILE is then shown by\n"
     "`bough trace`: see docs/recording.md. The process keeps the recording in memory meanwhile.\n\n"
     "  -o, --output FILE    the file; an older recording of this name is replaced\n"
     "  --seconds N          record for so long\n"
     "  --threshold MS       calls and regions that take less are left out; 1 ms by default\n"
     "  --size SIZE          the largest size, as 16M; 64M by default. The newest events are kept\n"
     "  --private            leave out arguments of calls, reasons, messages and places\n"},
    {"resolve", "resolve [--debug FOLDER] FILE", "show a saved dump with the names of functions",
     "FILE is what bough_dump() has written, or the file of BOUGH_DUMP. A function is named only if\n"
     "a file with the build id in the dump is here: the program or library, or its debug file.\n\n"
     "  --debug FOLDER    look for debug files in FOLDER/.build-id, too\n"},
    {"run", "run [--grace SECONDS] [--dump FILE] [--trace FILE] [--report] PROGRAM [ARGUMENT...]",
     "run a program whose threads end at Ctrl-C and SIGTERM",
     "The program is not changed. A Python program is run by the package, as `python -m bough run`\n"
     "does: a script, a folder or an archive with a __main__.py, `-m MODULE`, `-c CODE`, or an\n"
     "interpreter with its arguments. Any other program gets libbough-preload.so, see\n"
     "libbough-preload(7). What does not end climbs the ladder: see bough-ladder(7).\n\n"
     "  --grace SECONDS    the time of the whole ladder; 30 seconds by default\n"
     "  --dump FILE        where the state of a program that has to be killed is written\n"
     "  --trace FILE       record what the threads do: see docs/recording.md\n"
     "  --report           write to standard error what is covered in the program, and what is not\n"
     "  -m MODULE          a Python module, as the interpreter has it; ends the options, as -c does\n"
     "  -c CODE            Python code\n\n"
     "Exit status: the program's; 126 and 127 if it cannot be executed, 1, 2 as usual.\n"},
    {"top", "top [--interval SECONDS] PID", "watch the threads and branches of a process",
     "A live view on the terminal: since when each thread has been in its call, interrupts that\n"
     "are due, stacks. Keys sort, filter, fold and search, interrupt a thread or branch, and\n"
     "promote an incident; ? lists them.\n\n"
     "  --interval SECONDS    read the process so often, by default every second\n\n"
     "Exit status: 0 left by a key; 5 the process has ended; 1, 2 as usual.\n"},
    {"trace", "trace FILE", "show a recording as text",
     "FILE is what BOUGH_TRACE names, or what `bough record` has written: see docs/recording.md. One\n"
     "line for each event: when, on which thread, and what. The processes may still be recording.\n"},
    {"tree", "tree [--all] [--json] PID | tree [--json] --file FILE", "show the threads and branches of a process",
     "Where each branch was opened and how long it has, where each thread is, which\n"
     "regions it is in, and who asked it to stop. Threads that bough does not know come last.\n"
     "Of CPython 3.11 to 3.15, each thread's innermost line is shown, and who has the GIL.\n"
     "The process need not cooperate: it may be hung or stopped.\n\n"
     "  --all          show each of the library's idle workers, too\n"
     "  --json         for programs\n"
     "  --file FILE    read a copy of an arena, not a process\n"},
};

enum { USAGES = sizeof usages / sizeof *usages };

static const struct usage *usage_of(const char *name)
{
    for (size_t i = 0; i < USAGES; i++)
        if (strcmp(usages[i].name, name) == 0)
            return &usages[i];
    return NULL;
}

/* ---- functions for subcommands -------------------------------------------------------------------------------- */

int unknown_command(const char *name)
{
    fail("unknown command '%s': see `bough help`", name);
    return EXIT_USAGE;
}

int help_all(FILE *out)
{
    fprintf(
        out,
        "usage: bough COMMAND [...]\n\nLooks into programs that use bough, from outside, and runs programs that do not use it.\n\n");
    for (size_t i = 0; i < USAGES; i++)
        fprintf(out, "  %-10s %s\n", usages[i].name, usages[i].summary);
    fprintf(out, "  %-10s %s\n\n", "help", "describe a command: bough help COMMAND");
    fprintf(out, "bough --version prints the version. Exit status: 0, 1 for a failure, 2 for wrong usage.\n");
    return out == stdout ? EXIT_SUCCESS : EXIT_USAGE;
}

int help(const char *name)
{
    const struct usage *u = name ? usage_of(name) : NULL;
    if (!name)
        return help_all(stdout);
    if (!u)
        return unknown_command(name);
    printf("usage: bough %s\n\n%s.\n%s", u->usage, u->summary, u->details);
    return EXIT_SUCCESS;
}

int misused(const char *name)
{
    fprintf(stderr, "usage: bough %s\nsee `bough help %s`\n", usage_of(name)->usage, name);
    return EXIT_USAGE;
}

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments)
{
    char text[1024], plain[sizeof text]; /* may contain text of the examined process */
    vsnprintf(text, sizeof text, format, arguments);
    bo_plain(plain, sizeof plain, text);
    fprintf(stderr, "bough: %s\n", plain);
}

int usage_error(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return misused(name);
}

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return EXIT_FAILURE;
}

pid_t parse_pid(const char *text)
{
    char *end;
    long pid = strtol(text, &end, 10);
    return end == text || *end || pid <= 0 || pid > 1 << 30 ? -1 : (pid_t)pid;
}
