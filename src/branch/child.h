/* SPDX-License-Identifier: MIT */
/* Children: their resource, their entry in the branch, and those whose thread is lost or has forked. */
#ifndef BO_BRANCH_CHILD_H
#define BO_BRANCH_CHILD_H

#include "branch/failure.h"
#include "branch/branch_state.h"

/* Run the resource's destructor, if it has one. */
void bo_resource_destroy(bough_resource r);
/* Take the child out of its branch's list. The caller holds the branch state's lock. */
void bo_child_unlink(struct bo_child *child);
/* Account for a child whose thread is lost, on another thread. The child is freed, or kept as an ended child; the
 * thread still counts as live in its branch. `failure` describes the loss; NULL: there was no memory. */
void bo_child_lost(struct bo_child *child, struct bo_failure *failure);
/* Copy the child's name from its thread's slot, which the next child is about to use. */
void bo_child_keep_name(struct bo_child *child, const struct bo_thread *t);
/* Called in the process that a child has forked: the state of its branch stays in the parent. */
void bo_child_after_fork(struct bo_child *child);

#endif
