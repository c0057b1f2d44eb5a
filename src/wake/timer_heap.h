/* SPDX-License-Identifier: MIT */
/* A heap of times at which the ticker examines slots. Only the ticker's thread uses it. */
#ifndef BO_WAKE_TIMER_HEAP_H
#define BO_WAKE_TIMER_HEAP_H

#include "state/arena.h"

/* A thread's or branch's slot as one number. */
#define BO_ITEM_BRANCH (1u << 31)

static inline uint32_t bo_item_of(const struct bo_target *t)
{
    return t->index | (bo_is_branch(t) ? BO_ITEM_BRANCH : 0);
}

static inline struct bo_target *bo_item_target(uint32_t item)
{
    return item & BO_ITEM_BRANCH ? &bo_branch_at(item & ~BO_ITEM_BRANCH)->t : &bo_thread_at(item)->t;
}

/* Set the time for a slot, in place of its former time; BO_FOREVER: remove it. */
void bo_timer_heap_put(struct bo_target *t, int64_t when);
/* The item with the earliest time, and that time; BO_NONE with BO_FOREVER if the heap is empty. */
uint32_t bo_timer_heap_next(int64_t *when);
void bo_timer_heap_clear(void);

#endif
