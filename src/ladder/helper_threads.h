/* SPDX-License-Identifier: MIT */
/*
 * Helpers: threads of the library's that do for the warden what may block, and run what is the program's: callbacks,
 * closers, exit handlers, the log. The warden hands a job over and goes on; a job that does not come back takes its
 * helper with it, and another one takes the next job (rule 39).
 *
 *      FREE --bo_help: FILLING--> READY --a helper--> RUNNING --it comes back--> FREE
 *
 * Some are started before they are needed (bo_help_need): one each for a log, closers, an exit and a dump that hang.
 * The last idle one sees to it that there is another before it runs a job.
 */
#ifndef BO_LADDER_HELPER_THREADS_H
#define BO_LADDER_HELPER_THREADS_H

#include <stdbool.h>
#include <stdint.h>

/* Have helpers ready. In ordinary code. 0, or -1 with EAGAIN: there will be none, and the ladder goes on without. */
int bo_help_need(void);
/* Run fn(argument) on a helper. By the ticker only. False: there is none, or too many jobs hang. */
bool bo_help(void (*fn)(void *), void *argument);
bool bo_help_is_there(void);
void bo_help_after_fork(void);

#endif
