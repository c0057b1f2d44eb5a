/* SPDX-License-Identifier: MIT */
/* Records that are suppressed in foreign code for a time (rule 22). */
#ifndef BO_THREAD_SUPPRESS_H
#define BO_THREAD_SUPPRESS_H

#include "state/arena.h"

/* The record that interrupts the thread's present call; NULL: no record does. */
struct bo_record *bo_foreign_pending(const struct bo_thread *t);
/* Whether there is a suppression that the ticker has to end. `word` is the thread's. */
bool bo_foreign_suppressed(const struct bo_thread *t, uint64_t word);
/* Called by the thread: schedule the ticker for the end of the suppression, not earlier, because most threads have
 * ended by then. */
void bo_foreign_look_in_time(struct bo_thread *t);
/* Called by the ticker: wakes the thread if a suppression has ended. Returns when to examine the thread again. */
int64_t bo_foreign_look(struct bo_thread *t, uint64_t word);

#endif
