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

static inline struct timespec bo_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* a + b without overflow, for deadlines; b is not negative. */
static inline int64_t bo_add_time(int64_t a, int64_t b)
{
    return a > BO_FOREVER - b ? BO_FOREVER : a + b;
}

#endif
