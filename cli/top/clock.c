/* SPDX-License-Identifier: MIT */
/* The clocks of this process. */
#define _GNU_SOURCE
#include <time.h>
#include "top.h"

static int64_t clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t top_clock(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

int64_t top_processor_time(void)
{
    return clock_of(CLOCK_THREAD_CPUTIME_ID);
}
