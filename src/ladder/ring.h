/* SPDX-License-Identifier: MIT */
/*
 * A ring of reports: threads and signal handlers add reports without waiting, a helper thread delivers them, in order
 * and one at a time (rules 39, 40). If a delivery hangs, the ring fills, but nothing else waits.
 */
#ifndef BO_LADDER_RING_H
#define BO_LADDER_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/atomic.h"

/* The start of each item. */
struct bo_ring_item {
    _Atomic uint32_t ready; /* its number, once it was filled in */
    uint32_t number;
};

enum { BO_RING_ITEM_MOST = 2048 };

struct bo_ring {
    void *items; /* `room` items of this size, at most BO_RING_ITEM_MOST */
    size_t size;
    uint32_t room;
    void (*hand_out)(void *item); /* with a copy */

    _Atomic uint32_t written, read; /* counts; their difference is the number of waiting items */
    _Atomic uint32_t handing_out, announced;
};

/* An item to be filled in, and then announced; NULL: the ring is full. Without a helper the item waits for the first
 * helper. [signal] */
void *bo_ring_claim(struct bo_ring *ring);
void bo_ring_announce(struct bo_ring *ring, void *item);
/* Wait, at most until `until`, until all items are taken out, and the calls have returned. */
void bo_ring_drain(const struct bo_ring *ring, int64_t until);
/* In a forked child: drop the waiting items, which belong to the parent. */
void bo_ring_after_fork(struct bo_ring *ring);

/* Copy a text for an item, truncated to `size`. NULL counts as "". */
void bo_ring_copy_text(char *to, size_t size, const char *from);

#endif
