/* SPDX-License-Identifier: MIT */
/* For rules 22 and 46: this program's calls of libc play the part of foreign code. */
#ifndef T_FOREIGN_H
#define T_FOREIGN_H

#include <bough.h>
#include "harness.h"

/* Short, but longer than a few calls take on a busy machine. */
#define GRACE_NS ((int64_t)(BOUGH_MS(150) * t_scale()))

static inline void interpose(void)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
}

static inline void set_grace(int64_t grace)
{
    struct bough_foreign ways = {.grace = grace};
    CHECK_EQ(bough_foreign_set(&ways), 0);
}

#define wait_for(ms) t_poll_silent(ms)

/* One call site for all calls, even if the compiler unrolls a loop. */
__attribute__((noinline, unused)) static int wait_here(int ms)
{
    return t_poll_silent(ms);
}

#endif
