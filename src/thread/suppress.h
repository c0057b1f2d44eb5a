/* SPDX-License-Identifier: MIT */
/* Records that are suppressed in foreign code for a time (rule 22). */
#ifndef BO_THREAD_SUPPRESS_H
#define BO_THREAD_SUPPRESS_H

#include "state/arena.h"

/* The record that is to interrupt the call the thread is in; NULL: none. */
struct bo_record *bo_foreign_pending(const struct bo_thread *t);
/* Does a suppression run that the ticker has to end? `word` is the thread's. */
bool bo_foreign_suppressed(const struct bo_thread *t, uint64_t word);
/* By the thread: the ticker is to look when the suppression ends, and not before. Most threads have ended by then. */
void bo_foreign_look_in_time(struct bo_thread *t);
/* When the ticker is to look at such a thread again; wakes it if the time has come. */
int64_t bo_foreign_look(struct bo_thread *t, uint64_t word);

#endif
