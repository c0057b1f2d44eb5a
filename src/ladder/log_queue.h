/* SPDX-License-Identifier: MIT */
/*
 * What the warden has to tell: lines for the log and transitions for the program's callback. It puts them in a ring and
 * goes on; a helper hands them out, in order and one at a time (rules 39, 40).
 */
#ifndef BO_LADDER_LOG_QUEUE_H
#define BO_LADDER_LOG_QUEUE_H

#include <bough/ladder.h>

/* Without a helper, or with a full ring, a line goes to standard error, and a transition nowhere. */
void bo_news_line(const char *line);
void bo_news_transition(const struct bough_transition *transition);
/* Give helpers a moment to hand out what waits, until then at most: the process is about to end. */
void bo_news_settle(int64_t until);
/* From here on the calling thread's reports are handed out by others: it must not run what is the program's. */
void bo_news_not_here(void);
void bo_news_after_fork(void);

#endif
