/* SPDX-License-Identifier: MIT */
/*
 * Event. One word:
 *
 *      31        2   1       0
 *     [ how often ] [ SLEEP ] [ SET ]
 *
 * "How often" counts the changes from unset to set. A waiter stores the count, and returns as soon as the event is set
 * or the count has changed. So set() followed directly by reset() releases all waiters, and no waiter has to be awake
 * in between. (Only exactly 2^30 sets during one wait would be missed.)
 *
 * No thread sleeps while the event is set: a thread sleeps only while the word has SLEEP and not SET, and set() sets
 * SET and clears SLEEP in one step, and wakes all threads if SLEEP was set. Since waking consumes nothing, an
 * interrupted waiter has nothing to pass on.
 */
#include "sync/sync.h"

enum { SET = 1, SLEEP = 2, ONCE = 4 };

static uint32_t after_set(uint32_t state)
{
    return state & SET ? state : ((state | SET) & ~(uint32_t)SLEEP) + ONCE;
}

int bough_event_set(bough_event_flag *event)
{
    /* The word is written even if the event is set already, so that the next reset() is ordered after the caller's
     * earlier accesses. */
    uint32_t seen = bo_load_relaxed(bo_word32(&event->state));
    while (!bo_cas_seq(bo_word32(&event->state), &seen, after_set(seen)))
        ;
    if (seen & SLEEP)
        bo_futex_wake(bo_word32(&event->state), INT_MAX);
    return 0;
}

int bough_event_reset(bough_event_flag *event)
{
    bo_and_seq(bo_word32(&event->state), ~(uint32_t)SET);
    return 0;
}

int bough_event_is_set(const bough_event_flag *event)
{
    return bo_load_acquire(bo_word32(&event->state)) & SET;
}

/* Whether a waiter that read `since` at its start may return. */
static bool happened(uint32_t since, uint32_t now)
{
    return (now & SET) || now / ONCE != since / ONCE;
}

static long wait_slow(bough_event_flag *event, uint32_t since, bough_time deadline)
{
    for (long r = 0;;) {
        uint32_t now = bo_load_acquire(bo_word32(&event->state));
        if (happened(since, now))
            return 0;
        if (r != 0)
            return r;
        if (now & SLEEP || bo_cas_seq(bo_word32(&event->state), &now, now | SLEEP))
            r = bo_sync_wait(bo_word32(&event->state), now | SLEEP, deadline);
    }
}

int bough_event_wait(bough_event_flag *event, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    uint32_t since = bo_load_acquire(bo_word32(&event->state));
    return since & SET ? 0 : (int)bo_result(wait_slow(event, since, deadline));
}
