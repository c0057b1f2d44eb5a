/* SPDX-License-Identifier: MIT */
/*
 * Foreign code (thread/foreign_call.h): delivering interrupts to it, and opting threads in.
 */
#ifndef BO_THREAD_FOREIGN_H
#define BO_THREAD_FOREIGN_H

#include "thread/foreign_call.h"

/* Called when a call fails: its record counts as delivered, and is suppressed in foreign code for the grace period.
 * `why` gets a copy of the record; its kind is BOUGH_KINDS if the record was cleared at the last moment. */
void bo_foreign_deliver(struct bo_thread *t, struct bough_record *why);
/* Called when a silent wait ends early: nothing is delivered, and the record is suppressed in silent waits for the
 * grace period. */
void bo_foreign_silence(struct bo_thread *t);
/* Called when foreign code has ignored a failure: the record is due again for calls that can report it, but not for
 * silent waits. */
void bo_foreign_take_back(struct bo_thread *t);
/* Called when a thread opts in: patches objects that were loaded meanwhile. Set while any object is interposed. */
extern void (*_Atomic bo_foreign_refresh)(void);
/* Called when a call was interrupted that could not have blocked: the caller calls libc's function instead. */
void bo_foreign_ignore(struct bo_thread *t);

#endif
