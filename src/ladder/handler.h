/* SPDX-License-Identifier: MIT */
/* Rungs 2 and 3: run the application's handlers on the target's thread (rules 35, 36). */
#ifndef BO_LADDER_HANDLER_H
#define BO_LADDER_HANDLER_H

#include <setjmp.h>
#include <bough/ladder.h>
#include "state/arena.h"

/* A running handler. It lies in the frame of the function that runs it. `state` and `seq` are those of the post that it
 * runs for: the record may be closed, and posted again, while it runs. */
struct bo_handling {
    struct bo_handling *outer;
    struct bo_record *record;
    uint64_t state, seq;
    int rung;
    int signo;            /* the signal of the fault that ended the handler; 0: none */
    uint32_t busy;        /* bo_busy at its start */
    struct bo_undo *undo; /* bo_undo at its start: the cleanup of the calls that it runs in */
    sigjmp_buf fault;
};

/* For rung 3: send a summons to a thread that runs a final handler asynchronously. */
void bo_handler_summon(struct bo_thread *t, uint32_t generation);

#endif
