/* SPDX-License-Identifier: MIT */
/* CLOCK_MONOTONIC as int64_t nanoseconds. */
#ifndef BO_BASE_CLOCK_H
#define BO_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define BO_FOREVER INT64_MAX
#define BO_MS(n) ((int64_t)(n)*1000000)
#define BO_SEC(n) ((int64_t)(n)*1000000000)

static inline int64_t bo_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A time for the kernel, which accepts no negative time: a negative time becomes 0, which has passed as well. */
static inline struct timespec bo_timespec(int64_t ns)
{
    if (ns < 0)
        ns = 0;
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* a + b without overflow, for deadlines. */
static inline int64_t bo_add_time(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : b > 0 ? BO_FOREVER : INT64_MIN;
}

/* The time from `now` to a deadline, without overflow. */
static inline int64_t bo_time_left(int64_t deadline, int64_t now)
{
    int64_t left;
    return !__builtin_sub_overflow(deadline, now, &left) ? left : now < 0 ? BO_FOREVER : INT64_MIN;
}

static inline int64_t bo_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
