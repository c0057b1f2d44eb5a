/* SPDX-License-Identifier: MIT */
/* Adoption: a thread that bough has not started gets a slot at its first use of bough. */
#ifndef BO_THREAD_ADOPT_H
#define BO_THREAD_ADOPT_H

#include <pthread.h>
#include "state/current.h"

/* Initialise the library. Called at load and at each use; idempotent. 0, or -1 with errno: the library can't work. */
int bo_init(void);
/* The calling thread's slot; adopts the thread if it has none. NULL with EAGAIN (table full) or ENOMEM. */
struct bo_thread *bo_adopt(const char *name);

static inline struct bo_thread *bo_self_or_adopt(void)
{
    return bo_likely(bo_self != NULL) ? bo_self : bo_adopt(NULL);
}

/* Initialise the slot of an adopted thread, before it is published. */
void bo_begin_adopted(struct bo_thread *t);
/* The key whose destructor is bo_thread_ends(). */
extern pthread_key_t bo_at_thread_end;
/* Determine the bounds of the calling thread's stack, once; in ordinary code. */
void bo_self_find_stack(struct bo_thread *t);

#endif
