/* SPDX-License-Identifier: MIT */
/* The dump that a process writes about itself. */
#ifndef CLI_DUMP_H
#define CLI_DUMP_H

#include <stdio.h>
#include "attach.h"

/* Ask the process for its dump, wait for the answer (mailbox.h) and open the dump; NULL with `a->why` filled in. */
FILE *dump_by_itself(struct arena *a);
/* Print the lines of one thread, by its id in the process's PID namespace: its activity and its stack, with the names
 * and the Python frames that were found. */
struct mixed;
struct symbols;
void dump_stack(FILE *in, pid_t own, struct symbols *names, struct mixed *python, FILE *out);

#endif
