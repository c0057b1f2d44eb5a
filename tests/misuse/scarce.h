/* SPDX-License-Identifier: MIT */
/* Shared by tests without memory, threads or descriptors: the condition for a replaced allocator, limits, and the check
 * that everything works afterwards. */
#ifndef T_SCARCE_H
#define T_SCARCE_H

#include <sys/resource.h>
#include "semantics/children.h"

#if defined(__GLIBC__) && !T_ASAN && !T_TSAN
#define OWN_MALLOC 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);
#else
#define OWN_MALLOC 0
#endif

UNUSED static void need_own_malloc(void)
{
    if (!OWN_MALLOC)
        SKIP("the allocator can't be replaced here");
}

/* Sets the soft limit of a resource. Returns the previous limit. */
UNUSED static rlim_t limit_to(int resource, rlim_t most)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(resource, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    CHECK_EQ(setrlimit(resource, &limit), 0);
    return before;
}

/* The failed operations have left nothing behind. */
UNUSED static void check_all_works(void)
{
    struct thing thing = {0};
    BOUGH_BRANCH(b, .collect = 1)
        for (int i = 0; i < 20; i++)
            add(b, i % 2 ? work : fail_with, number(0));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->count, 20);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 20);
    BOUGH_BRANCH(b, .collect = 1)
        for (int i = 0; i < 20; i++)
            add(b, i < 19 ? work : fail_with, number(EDOM));
    CHECK_EQ(bough_last_result(), EDOM);
    CHECK_EQ(bough_last()->count, 20);
    BOUGH_BRANCH(b)
        add(b, work, thing_of(&thing));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(thing.destroyed, 1);
}

#endif
