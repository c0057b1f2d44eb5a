/* SPDX-License-Identifier: MIT */
/* The table of subcommands. Their help is in usage.c. */
#include <stdio.h>
#include <string.h>
#include "command.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"dump", dump_main},     {"interrupt", interrupt_main}, {"picture", picture_main}, {"ps", ps_main},
    {"record", record_main}, {"resolve", resolve_main},     {"run", run_main},         {"top", top_main},
    {"trace", trace_main},   {"tree", tree_main},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name)
        return help_all(stderr);
    if (strcmp(name, "--version") == 0)
        return puts("bough " BO_VERSION) < 0;
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    const struct command *c = find(name);
    return c ? c->run(argc - 1, argv + 1) : unknown_command(name);
}
