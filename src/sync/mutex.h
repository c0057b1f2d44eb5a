/* SPDX-License-Identifier: MIT */
/* The internal interface of mutexes, for conditions and for the ends of threads. */
#ifndef BO_SYNC_MUTEX_H
#define BO_SYNC_MUTEX_H

#include <bough/sync.h>
#include <stdbool.h>

/* Called at a child's end; at the end of any other thread the key's destructor calls it. The mutexes that the thread
 * still holds become owner-dead: the next thread that locks one gets EOWNERDEAD. */
void bo_mutex_owner_ended(void);
/* bo_mutexes_mine(): the calling thread's list of held mutexes [signal]. The second function is bo_mutex_owner_ended()
 * for a frozen thread, called by another thread. */
struct bough_mutex **bo_mutexes_mine(void);
void bo_mutexes_orphan(struct bough_mutex **list);

/* Lock the mutex again after a condition wait, uninterruptibly: 0 or EOWNERDEAD. */
int bo_mutex_relock(bough_mutex *mutex);
bool bo_mutex_is_mine(const bough_mutex *mutex);

#endif
