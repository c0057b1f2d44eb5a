/* SPDX-License-Identifier: MIT */
/* The dump that a process writes about itself. */
#ifndef CLI_DUMP_H
#define CLI_DUMP_H

#include <stdio.h>
#include "attach.h"

/* Ask for it, and open it; NULL with `a->why` filled in. Waits for the answer, see mailbox.h. */
FILE *dump_by_itself(struct arena *a);
/* The lines of one thread, by its own id: its activity and its stack, with the names and the Python frames that were found. */
struct mixed;
struct symbols;
void dump_stack(FILE *in, pid_t own, struct symbols *names, struct mixed *python, FILE *out);

#endif
