/* SPDX-License-Identifier: MIT */
/* Rungs 2 and 3: the program's handlers, on the target's thread (rules 35, 36). */
#ifndef BO_LADDER_HANDLER_H
#define BO_LADDER_HANDLER_H

#include <setjmp.h>
#include <bough/ladder.h>
#include "state/arena.h"

/* A handler that runs, in the frame that runs it. */
struct bo_handling {
    struct bo_handling *outer;
    struct bo_record *record;
    uint64_t seq;
    int rung;
    int signo;            /* of the fault that ended it */
    uint32_t busy;        /* bo_busy, when it began */
    struct bo_undo *undo; /* the same of what the calls it runs in have to put right */
    sigjmp_buf fault;
};

/* For rung 3: ask by signal those that run a final handler asynchronously. */
void bo_handler_summon(struct bo_thread *t, uint32_t generation);

#endif
