/* SPDX-License-Identifier: MIT */
/* When the ticker looks at which slot: a heap of times, its own thread's. */
#ifndef BO_WAKE_TIMER_HEAP_H
#define BO_WAKE_TIMER_HEAP_H

#include "state/arena.h"

/* A slot in one number: threads and branches alike. */
#define BO_ITEM_BRANCH (1u << 31)

static inline uint32_t bo_item_of(const struct bo_target *t)
{
    return t->index | (bo_is_branch(t) ? BO_ITEM_BRANCH : 0);
}

static inline struct bo_target *bo_item_target(uint32_t item)
{
    return item & BO_ITEM_BRANCH ? &bo_branch_at(item & ~BO_ITEM_BRANCH)->t : &bo_thread_at(item)->t;
}

/* Look at it then, and not when it was put there for before; BO_FOREVER: not at all. */
void bo_timer_heap_put(struct bo_target *t, int64_t when);
/* The next item, and when; BO_NONE with BO_FOREVER if there is none. */
uint32_t bo_timer_heap_next(int64_t *when);
void bo_timer_heap_clear(void);

#endif
