/* SPDX-License-Identifier: MIT */
/*
 * The queue of the warden's reports: lines for the log and transitions for the application's callback. The warden puts
 * them in a ring and continues; a helper thread delivers them, in order and one at a time (rules 39, 40).
 */
#ifndef BO_LADDER_LOG_QUEUE_H
#define BO_LADDER_LOG_QUEUE_H

#include <bough/ladder.h>

/* Without a helper, or if the ring is full, a line goes to standard error and a transition is dropped. */
void bo_log_queue_line(const char *line);
void bo_log_queue_transition(const struct bough_transition *transition);
/* From now on other threads deliver the calling thread's reports: it must not run the application's code. */
void bo_log_queue_not_here(void);
void bo_log_queue_after_fork(void);

#endif
