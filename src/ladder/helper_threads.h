/* SPDX-License-Identifier: MIT */
/*
 * Helpers are library threads that do work of the warden that may block, and run application code: callbacks, closers,
 * exit handlers, the log. The warden hands a job over and continues. If a job never returns, its helper is lost, and
 * another helper takes the next job (rule 39).
 *
 *      FREE --bo_help: FILLING--> READY --a helper--> RUNNING --it returns--> FREE
 *
 * Some are started before they are needed (bo_help_need): one each for a log, closers, an exit and a dump that may
 * hang. The last idle helper starts another one before it runs a job.
 */
#ifndef BO_LADDER_HELPER_THREADS_H
#define BO_LADDER_HELPER_THREADS_H

#include <stdbool.h>
#include <stdint.h>

/* Start the helpers. Not for signal handlers. 0, or -1 with EAGAIN: there are none, and the ladder works without
 * them. */
int bo_help_need(void);
/* Run fn(argument) on a helper. Called by the ticker only. False: there is no helper, or too many jobs hang. */
bool bo_help(void (*fn)(void *), void *argument);
/* As bo_help(), on any thread. If there is no helper, the next one that starts runs the job. False: too many jobs hang.
 * [signal] */
bool bo_help_later(void (*fn)(void *), void *argument);
bool bo_help_is_there(void);
void bo_help_after_fork(void);

#endif
