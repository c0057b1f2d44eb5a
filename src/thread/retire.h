/* SPDX-License-Identifier: MIT */
/* The end of a thread's generation. */
#ifndef BO_THREAD_RETIRE_H
#define BO_THREAD_RETIRE_H

#include "state/arena.h"

/* Called on the thread itself, or for a child that never ran. `how` is BOUGH_POST_ENDED or BOUGH_POST_LOST. */
void bo_retire(struct bo_thread *t, enum bough_post_status how);
/* End the generation of a frozen thread, on another thread. Signals on their way to the frozen thread stay pending, and
 * have no effect. */
void bo_retire_lost(struct bo_thread *t);
/* Wake the threads that wait for this generation to end. A worker does that last, when it is ready for the next child:
 * threads that are woken sooner would compete with it for a processor, and find no parked worker. */
void bo_wake_joiners(struct bo_thread *t);

#endif
