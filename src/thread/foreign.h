/* SPDX-License-Identifier: MIT */
/*
 * Foreign code (thread/foreign_call.h): how an interrupt is delivered to it, and which threads are opted in.
 */
#ifndef BO_THREAD_FOREIGN_H
#define BO_THREAD_FOREIGN_H

#include "thread/foreign_call.h"

/* A call fails: its record counts as delivered, and is suppressed in foreign code for the grace period. `why` gets a
 * copy; its kind is BOUGH_KINDS if the record was cleared at the last moment. */
void bo_foreign_deliver(struct bo_thread *t, struct bough_record *why);
/* A silent wait ends: nothing is delivered, and the record is suppressed in such waits for the grace period. */
void bo_foreign_silence(struct bo_thread *t);
/* The caller has ignored a delivered failure: the record is due again for calls that can report it, not for silent
 * waits. */
void bo_foreign_take_back(struct bo_thread *t);
/* Called when a thread opts in: patches objects that were loaded meanwhile. Set as long as anything is interposed. */
extern void (*_Atomic bo_foreign_refresh)(void);
/* A call was interrupted that could not have blocked: libc's function is called instead. */
void bo_foreign_ignore(struct bo_thread *t);

#endif
