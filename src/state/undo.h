/* SPDX-License-Identifier: MIT */
/*
 * Cleanup of a blocking call that is left without returning: handlers of the ladder run inside it, and may leave it by
 * bough_longjmp() or a C++ exception (rule 36); so may the program's signal handlers, by bough_longjmp().
 *
 *      struct waiting w = {.undo = {.run = leave_line}, ...};
 *      bo_undo_push(&w.undo);
 *      r = bo_sync_wait(...);               // only here can handlers run
 *      bo_undo_pop(&w.undo);
 *
 * The list lies on the thread's stack, the innermost call first. Only the thread itself uses it.
 */
#ifndef BO_STATE_UNDO_H
#define BO_STATE_UNDO_H

#include "base/atomic.h"
#include "base/futex.h"

struct bo_undo {
    struct bo_undo *outer;
    void (*run)(struct bo_undo *undo);
};

extern BO_TLS struct bo_undo *bo_undo;

static inline void bo_undo_push(struct bo_undo *undo)
{
    undo->outer = bo_undo;
    bo_signal_fence(); /* a signal handler finds the entry complete */
    bo_undo = undo;
    bo_signal_fence();
}

static inline void bo_undo_pop(const struct bo_undo *undo)
{
    bo_signal_fence();
    bo_undo = undo->outer;
}

/* Run the entries down to `until`: the calls that have pushed them were left. */
void bo_undo_until(const struct bo_undo *until);

#endif
