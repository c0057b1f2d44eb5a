/* SPDX-License-Identifier: MIT */
/*
 * Bounded queue: a ring, a line of getters and a line of putters (sync_line.h), one lock.
 *
 *      putters in line  =>  the ring is full              a waiting putter's item is in its ticket
 *      getters in line  =>  the ring is empty             a getter finds its item in its ticket
 *      closed           =>  nobody is in line
 *
 * Items go from hand to hand: put() gives its item to the first getter in line, get() refills the ring from
 * the first putter in line, all under the lock. So whoever is called has what it came for and looks for
 * nothing, nobody who comes later is faster, and each item is in exactly one place: with its putter, in the ring,
 * in a ticket that was called, or with a getter. A cut waiter either was called, and returns 0 with the
 * item handed over, or has left the line with nothing moved.
 */
#include <stdlib.h>
#include "api/sync_line.h"

struct bough_queue {
    struct bo_lock lock;
    bool closed;
    size_t capacity, first, length; /* of the ring */
    struct bough_line_ getters, putters;
    void *ring[];
};

bough_queue *bough_queue_new(size_t capacity)
{
    bough_queue *q = NULL;
    if (capacity > 0 && capacity <= (SIZE_MAX - sizeof *q) / sizeof q->ring[0])
        q = calloc(1, sizeof *q + capacity * sizeof q->ring[0]);
    if (!q)
        return bo_result(capacity ? -ENOMEM : -EINVAL), NULL;
    q->capacity = capacity;
    return q;
}

/* ---- under the lock ------------------------------------------------------------------------------ */

static void push(bough_queue *q, void *item)
{
    q->ring[(q->first + q->length++) % q->capacity] = item;
}

static void *pop(bough_queue *q)
{
    void *item = q->ring[q->first];
    q->first = (q->first + 1) % q->capacity;
    q->length--;
    return item;
}

/* A result that says: join the line. */
#define MUST_WAIT 1

static long try_put(bough_queue *q, void *item, const void **wake)
{
    if (q->closed)
        return -EPIPE;
    struct bough_waiter_ *getter = bo_line_first(&q->getters);
    if (getter) {
        getter->item = item;
        *wake = bo_line_call(&q->getters, 0);
    } else if (q->length < q->capacity) {
        push(q, item);
    } else {
        return MUST_WAIT;
    }
    return 0;
}

static long try_get(bough_queue *q, void **item, const void **wake)
{
    if (q->length == 0)
        return q->closed ? -EPIPE : MUST_WAIT;
    *item = pop(q);
    struct bough_waiter_ *putter = bo_line_first(&q->putters);
    if (putter) {
        push(q, putter->item);
        *wake = bo_line_call(&q->putters, 0);
    }
    return 0;
}

/* ---- the interface --------------------------------------------------------------------------------- */

static long wait_in(struct bough_line_ *line, struct bough_waiter_ *me, bough_queue *q, bough_time deadline)
{
    long r = bo_line_wait(line, me, &q->lock, deadline);
    return r ? r : -me->error;
}

int bough_queue_put(bough_queue *q, void *item, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    struct bough_waiter_ me = {.item = item};
    const void *wake = NULL;
    bo_lock(&q->lock);
    long r = try_put(q, item, &wake);
    if (r == MUST_WAIT)
        bo_line_join(&q->putters, &me);
    bo_unlock(&q->lock);
    bo_line_wake(wake);
    return (int)bo_result(r == MUST_WAIT ? wait_in(&q->putters, &me, q, deadline) : r);
}

int bough_queue_get(bough_queue *q, void **item, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    struct bough_waiter_ me = {0};
    const void *wake = NULL;
    bo_lock(&q->lock);
    long r = try_get(q, &me.item, &wake);
    if (r == MUST_WAIT)
        bo_line_join(&q->getters, &me);
    bo_unlock(&q->lock);
    bo_line_wake(wake);
    if (r == MUST_WAIT)
        r = wait_in(&q->getters, &me, q, deadline);
    if (r == 0)
        *item = me.item;
    return (int)bo_result(r);
}

int bough_queue_close(bough_queue *q)
{
    bo_lock(&q->lock);
    q->closed = true;
    while (bo_line_first(&q->getters))
        bo_line_wake(bo_line_call(&q->getters, EPIPE));
    while (bo_line_first(&q->putters))
        bo_line_wake(bo_line_call(&q->putters, EPIPE));
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
        drop(pop(q));
    free(q);
}
