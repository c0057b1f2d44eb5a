/* SPDX-License-Identifier: MIT */
/* The threads that an incident concerns: those below its target. */
#ifndef BO_LADDER_TARGET_THREADS_H
#define BO_LADDER_TARGET_THREADS_H

#include "state/reach.h"

/* Was it posted to a thread, and not to what branches off it? */
bool bo_alone(const struct bo_record *r, bool branch);
/* Begin a look at the live threads that it concerns; bo_scan_next() goes on. */
void bo_scan_concerned(struct bo_scan *s, const struct bo_target *target, const struct bo_record *r);
/* Does a branch that it has open have children that run? */
bool bo_has_children(const struct bo_thread *t);
bool bo_is_main(const struct bo_thread *t);

#endif
