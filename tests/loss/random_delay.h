/* SPDX-License-Identifier: MIT */
/* Random delays, and a delay in the one race window of the synchronisation objects. */
#ifndef TEST_PAUSE_H
#define TEST_PAUSE_H

#include <sched.h>
#include <time.h>
#include "harness.h"

/* No delay, a few instructions, a yield, or a short sleep. */
static inline void pause_at_random(uint64_t *random)
{
    uint64_t r = t_random(random);
    unsigned kind = r & 7;
    if (kind == 1)
        sched_yield();
    else if (kind == 2)
        nanosleep(&(struct timespec){0, (long)(r >> 8) % 30000}, NULL);
    else if (kind > 2)
        for (volatile unsigned i = (r >> 8) % 3000; i > 0; i--)
            ;
}

/* Between the kernel's wake-up and the woken thread's check; only in a library that was built with -Dhooks=true. */
extern void (*volatile bo_hook_futex_woken)(void) __attribute__((weak));

static inline void delay_woken(void)
{
    static _Atomic uint64_t turn = 1;
    uint64_t random = ++turn * 0x9e3779b97f4a7c15u;
    pause_at_random(&random);
}

static inline void widen_window(void)
{
    if (&bo_hook_futex_woken) {
        bo_hook_futex_woken = delay_woken;
        t_note("with a delay between wake-up and check");
    }
}

#endif
