/* SPDX-License-Identifier: MIT */
#include "wake/timer_heap.h"
#include <string.h>
#include "base/clock.h"

static uint32_t heap[BO_THREADS + BO_BRANCHES], heap_size;
static uint32_t place_of_thread[BO_THREADS], place_of_branch[BO_BRANCHES]; /* 0: not in the heap, else place + 1 */

static uint32_t *place_of_item(uint32_t item)
{
    return item & BO_ITEM_BRANCH ? &place_of_branch[item & ~BO_ITEM_BRANCH] : &place_of_thread[item];
}

static int64_t when_of(uint32_t item)
{
    return bo_load_relaxed(&bo_item_target(item)->tick_at);
}

static void put_at(uint32_t at, uint32_t item)
{
    heap[at] = item;
    *place_of_item(item) = at + 1;
}

static void sift_up(uint32_t at, uint32_t item)
{
    for (; at && when_of(heap[(at - 1) / 2]) > when_of(item); at = (at - 1) / 2)
        put_at(at, heap[(at - 1) / 2]);
    put_at(at, item);
}

static void sift_down(uint32_t at, uint32_t item)
{
    for (uint32_t child; (child = 2 * at + 1) < heap_size; at = child) {
        if (child + 1 < heap_size && when_of(heap[child + 1]) < when_of(heap[child]))
            child++;
        if (when_of(heap[child]) >= when_of(item))
            break;
        put_at(at, heap[child]);
    }
    put_at(at, item);
}

static void drop(uint32_t item)
{
    uint32_t at = *place_of_item(item);
    if (!at--)
        return;
    *place_of_item(item) = 0;
    uint32_t last = heap[--heap_size];
    if (last == item)
        return;
    sift_down(at, last);
    sift_up(*place_of_item(last) - 1, last);
}

void bo_timer_heap_put(struct bo_target *t, int64_t when)
{
    uint32_t item = bo_item_of(t);
    drop(item);
    bo_store_relaxed(&t->tick_at, when);
    if (when != BO_FOREVER)
        sift_up(heap_size++, item);
}

uint32_t bo_timer_heap_next(int64_t *when)
{
    *when = heap_size ? when_of(heap[0]) : BO_FOREVER;
    return heap_size ? heap[0] : BO_NONE;
}

void bo_timer_heap_clear(void)
{
    heap_size = 0;
    memset(place_of_thread, 0, sizeof place_of_thread);
    memset(place_of_branch, 0, sizeof place_of_branch);
}
