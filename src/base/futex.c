/* SPDX-License-Identifier: MIT */
#include "base/futex.h"
#include <errno.h>
#include "base/clock.h"

BO_TLS uint32_t bo_busy;

long bo_futex_sleep(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    /* FUTEX_WAIT_BITSET takes an absolute time, so a signal in between does not prolong the wait. */
    struct timespec at = bo_timespec(deadline);
    return bo_raw6(SYS_futex, (long)word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                   (long)(deadline == BO_FOREVER ? NULL : &at), 0, FUTEX_BITSET_MATCH_ANY);
}

/* ---- the kernel's lists of waiting threads ---------------------------------------------------- */

enum { FUTEX_HASH = 78, SET_SLOTS = 1, GET_SLOTS = 2 }; /* PR_FUTEX_HASH of newer headers */
enum { ENOUGH = 256, A_LIST = 4 /* threads */ };

static _Atomic uint32_t known_room = ENOUGH;

/* The program may have set more lists itself. If an older kernel refuses, the next attempt is when there are twice as
 * many threads. */
void bo_futex_room(uint32_t threads)
{
    uint32_t known = bo_load_relaxed(&known_room), next = known;
    while (next < threads)
        next *= 2;
    if (bo_likely(next == known) || !bo_cas_seq(&known_room, &known, next))
        return;
    long lists = next / A_LIST;
    if (bo_raw6(SYS_prctl, FUTEX_HASH, GET_SLOTS, 0, 0, 0, 0) < lists)
        bo_raw6(SYS_prctl, FUTEX_HASH, SET_SLOTS, lists, 0, 0, 0);
}

void bo_futex_after_fork(void)
{
    bo_store_relaxed(&known_room, ENOUGH);
}

/* ---- yielding -------------------------------------------------------------------------------- */

enum { DEAR = 1000000, PAUSE = 1000000000 }; /* ns: a yield that takes DEAR or longer stops yielding for PAUSE */

static _Atomic int64_t no_yield_before;

bool bo_yield(int64_t *now)
{
    int64_t before = *now;
    if (before < bo_load_relaxed(&no_yield_before))
        return false;
    bo_raw0(SYS_sched_yield);
    *now = bo_clock();
    if (*now - before < DEAR)
        return true;
    bo_store_relaxed(&no_yield_before, *now + PAUSE);
    return false;
}

/* ---- locks ----------------------------------------------------------------------------------- */

/* Sleeps instead of yielding in a loop, because the holder may have a lower priority, and need this processor. */
bool bo_lock_slow(struct bo_lock *lock, int64_t deadline)
{
    while (bo_swap_acq_rel(&lock->state, 2) != 0)
        if (bo_futex_sleep(&lock->state, 2, deadline) == -ETIMEDOUT)
            return false;
    return true;
}

bool bo_lock_by(struct bo_lock *lock, int64_t deadline)
{
    uint32_t free_state = 0;
    bo_busy_begin();
    if (bo_cas_acquire(&lock->state, &free_state, 1) || bo_lock_slow(lock, deadline))
        return true;
    bo_busy_end();
    return false;
}
