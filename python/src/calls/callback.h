/* SPDX-License-Identifier: MIT */
/* Blocks of on_interrupt(): the interface between the files that list a thread's blocks (callback.c), end them
 * (nudge.c) and enter them (on_interrupt.c). */
#ifndef BP_CALLBACK_H
#define BP_CALLBACK_H

#include "base/state.h"

struct bp_callback {
    struct bp_callback *outer;
    const PyFrameObject *frame; /* of the code that has the block: compared only */
    uint64_t id;
    bool late;
    int running; /* the number of its callbacks that run */
};

/* ---- callback.c --------------------------------------------------------------------------------------- */

/* The thread's block with this number; NULL. */
struct bp_callback *bp_callback_of(const struct bp_thread *t, uint64_t id);

/* ---- nudge.c ------------------------------------------------------------------------------------------ */

/* Called by the thread itself, because other threads can't do it: set whether its calls are interrupted, as its blocks
 * require now. */
void bp_callbacks_follow(struct bp_thread *t);

#endif
