/* SPDX-License-Identifier: MIT */
#include "base/futex.h"
#include "base/clock.h"

BO_TLS uint32_t bo_busy;

void bo_futex_sleep(const void *word, uint32_t expected, int64_t deadline)
{
    /* FUTEX_WAIT_BITSET takes an absolute time, so that a signal in between stretches nothing. */
    struct timespec at = bo_timespec(deadline);
    bo_raw6(SYS_futex, (long)word, FUTEX_WAIT_BITSET_PRIVATE, expected, (long)(deadline == BO_FOREVER ? NULL : &at), 0,
            FUTEX_BITSET_MATCH_ANY);
}

/* ---- yielding -------------------------------------------------------------------------------- */

enum { DEAR = 200000, PAUSE = 1000000000 }; /* ns: a yield that took so long; how long none is tried after it */

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

void bo_lock_slow(struct bo_lock *lock)
{
    while (bo_swap_acq_rel(&lock->state, 2) != 0)
        bo_futex_sleep(&lock->state, 2, BO_FOREVER);
}
