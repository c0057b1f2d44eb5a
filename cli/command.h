/* SPDX-License-Identifier: MIT */
/*
 * The command's parts. A subcommand is a function like main() in a separate file, a line in the table of commands.c,
 * and its help in usage.c. It returns an exit status: 0, EXIT_FAILURE, or EXIT_USAGE by one of the functions below.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdio.h>
#include <sys/types.h>

enum { EXIT_USAGE = 2, EXIT_STANDS = 3, EXIT_LOST = 4, EXIT_GONE = 5 };

int dump_main(int argc, char **argv);
int interrupt_main(int argc, char **argv);
int picture_main(int argc, char **argv);
int ps_main(int argc, char **argv);
int record_main(int argc, char **argv);
int resolve_main(int argc, char **argv);
int run_main(int argc, char **argv);
int top_main(int argc, char **argv);
int trace_main(int argc, char **argv);
int tree_main(int argc, char **argv);

/* Find the subcommand and run it. */
int run_command(int argc, char **argv);

/* ---- usage.c */
/* Print a subcommand's help to standard output; NULL: the general help. Returns 0, or EXIT_USAGE for an unknown one. */
int help(const char *command);
/* Print the general help. Returns 0, or EXIT_USAGE if `out` is not standard output. */
int help_all(FILE *out);
/* Report a subcommand that does not exist. Returns EXIT_USAGE. */
int unknown_command(const char *command);
/* Print a subcommand's usage to standard error. Returns EXIT_USAGE. */
int misused(const char *command);
/* Print a sentence, then the subcommand's usage. Returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int usage_error(const char *command, const char *format, ...);
/* Print "bough: ..." to standard error. Returns EXIT_FAILURE. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);
/* Parse a positive number; -1: the text is no positive number, or one that is too large. */
pid_t parse_pid(const char *text);

#endif
