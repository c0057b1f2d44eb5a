/* SPDX-License-Identifier: MIT */
/*
 * Bounded queue: a ring, a line of getters and a line of putters (wait_queue.h), one lock.
 *
 *      putters in line  =>  the ring is full              a waiting putter's item is in its ticket
 *      getters in line  =>  the ring is empty             a waiting getter receives its item in its ticket
 *      closed           =>  no thread is in line
 *
 * Items are handed over directly: put() gives its item to the first getter in line, get() refills the ring from the
 * first putter in line, all under the lock. So a thread that is called has its item and need not look for one, no later
 * thread overtakes it, and each item is in exactly one place: with its putter, in the ring, in a ticket that was
 * called, or with a getter. An interrupted waiter either was called, and returns 0 after the item was handed over, or
 * has left the line, and no item was moved.
 */
#include <stdlib.h>
#include "state/log.h"
#include "sync/wait_queue.h"
#include "thread/call.h"

struct bough_queue {
    struct bo_lock lock;
    bool closed;
    size_t capacity, room, first, length; /* of the ring; `room` includes places for items that are given back */
    struct bough_line_ getters, putters;
    void *ring[];
};

enum { GIVEN_BACK = 8 };

bough_queue *bough_queue_new(size_t capacity)
{
    bough_queue *q = NULL;
    if (capacity > 0 && capacity <= (SIZE_MAX - sizeof *q) / sizeof q->ring[0] - GIVEN_BACK)
        q = calloc(1, sizeof *q + (capacity + GIVEN_BACK) * sizeof q->ring[0]);
    if (!q)
        return bo_result(capacity ? -ENOMEM : -EINVAL), NULL;
    q->capacity = capacity;
    q->room = capacity + GIVEN_BACK;
    return q;
}

/* ---- under the lock ------------------------------------------------------------------------------ */

static void push_item(bough_queue *q, void *item)
{
    q->ring[(q->first + q->length++) % q->room] = item;
}

static void *pop_item(bough_queue *q)
{
    void *item = q->ring[q->first];
    q->first = (q->first + 1) % q->room;
    q->length--;
    return item;
}

/* A result: the caller has to join the line. */
#define MUST_WAIT 1

static long try_put(bough_queue *q, void *item, const _Atomic uint32_t **wake)
{
    if (q->closed)
        return -EPIPE;
    struct bough_waiter_ *getter = bo_wait_queue_first(&q->getters);
    if (getter) {
        getter->item = item;
        *wake = bo_wait_queue_call(&q->getters, 0);
    } else if (q->length < q->capacity) {
        push_item(q, item);
    } else {
        return MUST_WAIT;
    }
    return 0;
}

static long try_get(bough_queue *q, void **item, const _Atomic uint32_t **wake)
{
    if (q->length == 0)
        return q->closed ? -EPIPE : MUST_WAIT;
    *item = pop_item(q);
    struct bough_waiter_ *putter = q->length < q->capacity ? bo_wait_queue_first(&q->putters) : NULL;
    if (putter) {
        push_item(q, putter->item);
        *wake = bo_wait_queue_call(&q->putters, 0);
    }
    return 0;
}

/* ---- the interface --------------------------------------------------------------------------------- */

struct waiting {
    struct bo_undo undo;
    struct bough_waiter_ me;
    bough_queue *queue;
    struct bough_line_ *line;
};

/* Gives back the item that a leaving getter had received: the item is put before those in the ring. */
static void give_item_back(bough_queue *q, void *item)
{
    const _Atomic uint32_t *wake = NULL;
    bo_lock(&q->lock);
    struct bough_waiter_ *getter = bo_wait_queue_first(&q->getters);
    bool room = getter || q->length < q->room;
    if (getter) {
        getter->item = item;
        wake = bo_wait_queue_call(&q->getters, 0);
    } else if (room) {
        q->first = (q->first + q->room - 1) % q->room;
        q->ring[q->first] = item;
        q->length++;
    }
    bo_unlock(&q->lock);
    bo_wait_queue_wake(wake);
    if (!room)
        bo_report("%d getters of a full queue were left by jumps or exceptions, each with an item: one is lost",
                  GIVEN_BACK + 1);
}

/* Called when a jump or an exception leaves the wait. If a putter was called, its item stays in the queue. */
static void abandon_queue(struct bo_undo *undo)
{
    struct waiting *w = (struct waiting *)undo;
    bool called = bo_wait_queue_leave(w->line, &w->me, &w->queue->lock);
    if (called && !w->me.error && w->line == &w->queue->getters)
        give_item_back(w->queue, w->me.item);
}

static long wait_in(struct waiting *w, bough_time deadline)
{
    long r = bo_wait_queue_wait(w->line, &w->me, &w->queue->lock, deadline, &w->undo);
    return r ? r : -w->me.error;
}

int bough_queue_put(bough_queue *q, void *item, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    struct waiting w = {.undo = {.run = abandon_queue}, .me = {.item = item}, .queue = q, .line = &q->putters};
    const _Atomic uint32_t *wake = NULL;
    bo_lock(&q->lock);
    long r = try_put(q, item, &wake);
    if (r == MUST_WAIT)
        bo_wait_queue_join(w.line, &w.me);
    bo_unlock(&q->lock);
    bo_wait_queue_wake(wake);
    return (int)bo_result(r == MUST_WAIT ? wait_in(&w, deadline) : r);
}

int bough_queue_get(bough_queue *q, void **item, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    struct waiting w = {.undo = {.run = abandon_queue}, .queue = q, .line = &q->getters};
    const _Atomic uint32_t *wake = NULL;
    bo_lock(&q->lock);
    long r = try_get(q, &w.me.item, &wake);
    if (r == MUST_WAIT)
        bo_wait_queue_join(w.line, &w.me);
    bo_unlock(&q->lock);
    bo_wait_queue_wake(wake);
    if (r == MUST_WAIT)
        r = wait_in(&w, deadline);
    if (r == 0)
        *item = w.me.item;
    return (int)bo_result(r);
}

int bough_queue_close(bough_queue *q)
{
    bo_lock(&q->lock);
    q->closed = true;
    while (bo_wait_queue_first(&q->getters))
        bo_wait_queue_wake(bo_wait_queue_call(&q->getters, EPIPE));
    while (bo_wait_queue_first(&q->putters))
        bo_wait_queue_wake(bo_wait_queue_call(&q->putters, EPIPE));
    bo_unlock(&q->lock);
    return 0;
}

size_t bough_queue_length(bough_queue *q)
{
    bo_lock(&q->lock);
    size_t length = q->length;
    bo_unlock(&q->lock);
    return length;
}

void bough_queue_free(bough_queue *q, void (*drop)(void *item))
{
    if (!q)
        return;
    while (drop && q->length > 0)
        drop(pop_item(q));
    free(q);
}
