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

void bo_lock_slow(struct bo_lock *lock)
{
    while (bo_swap_acq_rel(&lock->state, 2) != 0)
        bo_futex_sleep(&lock->state, 2, BO_FOREVER);
}
