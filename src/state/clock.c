/* SPDX-License-Identifier: MIT */
#include "state/clock.h"
#include <bough/types.h>
#include "state/arena.h"

#define STANDSTILL_MIN BO_SEC(1)

static _Atomic int64_t stood_still;

int64_t bo_now(void)
{
    return bo_clock() - bo_load_relaxed(&stood_still);
}

bough_time bough_now(void)
{
    return bo_now();
}

int64_t bo_to_monotonic(int64_t when)
{
    return bo_add_time(when, bo_load_relaxed(&stood_still));
}

int64_t bo_notice_standstill(int64_t expected)
{
    int64_t now = bo_clock(), late = now - expected;
    if (expected != BO_FOREVER && late > STANDSTILL_MIN)
        bo_store_relaxed(&bo_arena.head->stood_still, bo_add_seq(&stood_still, late) + late);
    return now;
}

void bo_clock_after_fork(void)
{
    if (bo_arena.head)
        bo_store_relaxed(&bo_arena.head->stood_still, bo_load_relaxed(&stood_still));
}
