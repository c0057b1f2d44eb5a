/* SPDX-License-Identifier: MIT */
/* Rung 5: all other threads are interrupted, the application's exit tiers run, then libc's exit. */
#ifndef BO_LADDER_EXIT_H
#define BO_LADDER_EXIT_H

#include <stdbool.h>
#include <stdint.h>

struct bo_leaving {
    int signo;          /* the signal that asked for it; 0: none */
    int64_t until;      /* bo_clock(): the rung's deadline */
    bool (*over)(void); /* is the incident over? Called until the exit tiers begin */
    char reason[128];
};

/* Claim the exit. True: no thread has begun it before. Call this before writing the argument of bo_leave(), which
 * another incident's exit may be reading. */
bool bo_leave_first(void);
/* Give the claim back: there will be no exit. */
void bo_leave_not(void);
/* Exit. Called on a helper, after bo_leave_first() has returned true. Does not return, unless another thread has begun
 * to exit already. */
void bo_leave(void *leaving);
/* Has rung 5 begun? */
bool bo_is_leaving(void);

#endif
