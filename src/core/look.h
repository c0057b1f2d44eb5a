/* SPDX-License-Identifier: MIT */
/* What the ticker sees to when it looks at a slot. It decides from the slot's state alone: what is no longer true does
 * nothing. */
#ifndef BO_CORE_LOOK_H
#define BO_CORE_LOOK_H

#include "base/clock.h"
#include "core/arena.h"

/* How long a wake has to be answered; how soon one is repeated to a thread in a call of libc's. */
#define BO_ANSWER_WITHIN BO_MS(50)
#define BO_FIRST_REPEAT 200000

/* Returns when to look again, on CLOCK_MONOTONIC. On the ticker's thread. */
int64_t bo_look(struct bo_target *t, bool branch);

static inline int64_t bo_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
