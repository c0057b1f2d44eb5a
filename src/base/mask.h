/* SPDX-License-Identifier: MIT */
/* Blocks all signals of the calling thread for a few steps that no handler may interrupt. [signal] */
#ifndef BO_BASE_MASK_H
#define BO_BASE_MASK_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "base/raw.h"

/* Blocks all signals. Returns the mask to restore. */
static inline uint64_t bo_signals_off(void)
{
    static const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof before);
    return before;
}

static inline void bo_signals_on(uint64_t before)
{
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before);
}

#endif
