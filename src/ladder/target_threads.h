/* SPDX-License-Identifier: MIT */
/* The threads that an incident concerns: those below its target. */
#ifndef BO_LADDER_TARGET_THREADS_H
#define BO_LADDER_TARGET_THREADS_H

#include "state/reach.h"

/* Was the record posted to a thread alone, without its branches? */
bool bo_alone(const struct bo_record *r, bool branch);
/* Begin a scan of the live threads that the record concerns; bo_scan_next() continues it. */
void bo_scan_concerned(struct bo_scan *s, const struct bo_target *target, const struct bo_record *r);
/* Does any branch that the thread has open have running children? */
bool bo_has_children(const struct bo_thread *t);
bool bo_is_main(const struct bo_thread *t);

#endif
