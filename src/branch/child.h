/* SPDX-License-Identifier: MIT */
/* Children, when their thread is lost or has forked. */
#ifndef BO_BRANCH_CHILD_H
#define BO_BRANCH_CHILD_H

#include "branch/failure.h"
#include "branch/branch_state.h"

/* Its thread is lost: account for it, on another. It is freed, or kept as one that ended; the thread still counts as
 * live in its branch. `failure` says what happened; NULL: there was no memory. */
void bo_child_lost(struct bo_child *child, struct bo_failure *failure);
/* Its name is in its thread's slot, which is about to have another child. */
void bo_child_keep_name(struct bo_child *child, const struct bo_thread *t);
/* In the process that a child has forked: the state of its branch stays in the parent. */
void bo_child_after_fork(struct bo_child *child);

#endif
