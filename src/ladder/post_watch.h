/* SPDX-License-Identifier: MIT */
/* The callback of bough_on_posting(): reports posts when they are made, reach their target, and are over (rule 40). */
#ifndef BO_LADDER_POST_WATCH_H
#define BO_LADDER_POST_WATCH_H

#include "state/record.h"

/* The record was posted. The poster holds a pin on the target. [signal] */
void bo_post_watch_posted(const struct bo_record *r);
void bo_post_watch_after_fork(void);

#endif
