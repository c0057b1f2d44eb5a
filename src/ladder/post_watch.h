/* SPDX-License-Identifier: MIT */
/* The callback of bough_on_posting(): reports posts when they are made, reach their target, and are over (rule 40). */
#ifndef BO_LADDER_POST_WATCH_H
#define BO_LADDER_POST_WATCH_H

void bo_post_watch_after_fork(void);

#endif
