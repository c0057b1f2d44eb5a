/* SPDX-License-Identifier: MIT */
/*
 * Closers: cleanup of a thread's resources for the case that the thread can't do it any more (rung 4).
 *
 *      bough_closer_*()  -->  t->closers, the newest first  --bough_closer_drop()-->  gone, run on the thread if wanted
 *                                  |
 *                                  +-- the generation ends normally, or fork(): forgotten
 *                                  +-- the thread is frozen: run by bo_close_thread(), on a helper
 *
 * Only the thread touches its list, until it is frozen; then only the helper does. No thread is frozen in the middle of
 * a change (bo_busy).
 */
#ifndef BO_LADDER_CLOSER_H
#define BO_LADDER_CLOSER_H

#include "state/arena.h"

/* For a thread for which bo_freeze() has returned BO_FROZEN: run its closers, and publish it as lost. Called once, on a
 * helper, because closers are application code and can block. */
void bo_close_thread(struct bo_thread *t);

#endif
