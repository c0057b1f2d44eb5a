/* SPDX-License-Identifier: MIT */
#include "ladder/ring.h"
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/hook.h"
#include "ladder/helper_threads.h"

static struct bo_ring_item *item_at(const struct bo_ring *ring, uint32_t count)
{
    return (void *)((char *)ring->items + ring->size * (count % ring->room));
}

/* The next item to read, if it was filled in. */
static struct bo_ring_item *next_item(const struct bo_ring *ring)
{
    uint32_t next = bo_load_seq(&ring->read);
    struct bo_ring_item *i = item_at(ring, next);
    return next != bo_load_seq(&ring->written) && bo_load_seq(&i->ready) == next + 1 ? i : NULL;
}

/* One thread delivers at a time. If another thread is delivering, the item is left to that thread, which checks again
 * before it ends: no item is forgotten. */
static void hand_all_out(void *argument)
{
    struct bo_ring *ring = argument;
    bo_store_seq(&ring->announced, 0);
    while (next_item(ring) && !bo_swap_seq(&ring->handing_out, 1)) {
        struct bo_ring_item *i = next_item(ring);
        if (i) {
            _Alignas(max_align_t) char copy[BO_RING_ITEM_MOST];
            memcpy(copy, i, ring->size);
            bo_add_seq(&ring->read, 1);
            ring->hand_out(copy);
        }
        bo_store_seq(&ring->handing_out, 0);
    }
}

/* If `next` is outdated, it may already be behind `read`: then the step fails, and loads it again. */
void *bo_ring_claim(struct bo_ring *ring)
{
    uint32_t next = bo_load_seq(&ring->written);
    BO_HOOK(ring_claims);
    do
        if ((int32_t)(next - bo_load_seq(&ring->read)) >= (int32_t)ring->room)
            return NULL;
    while (!bo_cas_seq(&ring->written, &next, next + 1));
    struct bo_ring_item *i = item_at(ring, next);
    i->number = next + 1;
    return i;
}

/* One job delivers all items that come before it begins: a burst must not use up the jobs that the ladder's rungs
 * need. */
void bo_ring_announce(struct bo_ring *ring, void *item)
{
    struct bo_ring_item *i = item;
    bo_store_seq(&i->ready, i->number);
    if (!bo_swap_seq(&ring->announced, 1) && !bo_help_later(hand_all_out, ring))
        bo_store_seq(&ring->announced, 0); /* the next announcement tries again */
}

static bool is_drained(const struct bo_ring *ring)
{
    return bo_load_seq(&ring->written) == bo_load_seq(&ring->read) && !bo_load_seq(&ring->handing_out);
}

void bo_ring_drain(const struct bo_ring *ring, int64_t until)
{
    const struct timespec moment = {0, 2000000};
    while (bo_clock() < until && !is_drained(ring))
        nanosleep(&moment, NULL);
}

void bo_ring_after_fork(struct bo_ring *ring)
{
    bo_store_relaxed(&ring->read, bo_load_relaxed(&ring->written));
    bo_store_relaxed(&ring->handing_out, 0);
    bo_store_relaxed(&ring->announced, 0);
}

void bo_ring_copy_text(char *to, size_t size, const char *from)
{
    size_t n = from ? strnlen(from, size - 1) : 0;
    if (n)
        memcpy(to, from, n);
    to[n] = '\0';
}
