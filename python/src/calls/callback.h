/* SPDX-License-Identifier: MIT */
/* Blocks of on_interrupt(): the interface between the files that list a thread's blocks (callback.c), end them
 * (nudge.c) and enter them (on_interrupt.c). */
#ifndef BP_CALLBACK_H
#define BP_CALLBACK_H

#include "base/state.h"

struct bp_callback {
    struct bp_callback *outer;
    const PyFrameObject *frame; /* the frame of the code with the block; only its address is compared */
    uint64_t id;
    bool late;
    int running; /* how many of the block's callbacks run now */
};

/* ---- callback.c --------------------------------------------------------------------------------------- */

/* The thread's block with this number; NULL. */
struct bp_callback *bp_callback_of(const struct bp_thread *t, uint64_t id);

/* ---- nudge.c ------------------------------------------------------------------------------------------ */

/* Set whether the calling thread's calls are interrupted, as its open blocks require now. A thread can't set that for
 * another one. */
void bp_callbacks_follow(struct bp_thread *t);

#endif
