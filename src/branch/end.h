/* SPDX-License-Identifier: MIT */
/* Ends a branch: by its owner, forgotten, left by a jump, or as an orphan. */
#ifndef BO_BRANCH_END_H
#define BO_BRANCH_END_H

#include <bough/branch.h>
#include "state/arena.h"

/* Run fn(argument) when the branch has joined its children. 0; -1 with ENOMEM, ESRCH. [owner] */
/* This thread's branches from before a fork stayed in the parent: the forked child has no memory for them. */
extern BO_TLS bool bo_branches_lost;
int bo_branch_at_end(bough_branch *branch, void (*fn)(void *), void *argument);

/* Leave all branches that a thread has open, interrupted and joined, down to (not including) `until`; BO_NONE for
 * all. */
void bo_branch_unwind(struct bo_thread *t, uint32_t until);
/* The same, and report that the program has forgotten to end the branches. */
void bo_branch_end_forgotten(struct bo_thread *t, uint32_t until, const char *by);
/* End the blocks that a plain longjmp() has abandoned: their frames are below `sp`, the present one (rule 19). */
void bo_branch_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* A thread is lost: make its open branches orphans, see lost.h. */
void bo_branch_orphan(struct bo_thread *t);
/* Called by the last child that leaves an orphan. */
void bo_branch_end_orphan(struct bo_branch *b);
/* After the worker was reset: notify the branch that the child has ended, and end the branch if it is an orphan. */
void bo_child_gone(uint64_t branch);

/* Join the last worker of the branch whose thread has ended. */
void bo_branch_state_join_leaver(const struct bo_branch_state *state);
void bo_branch_state_run_at_end(struct bo_branch_state *state);

#endif
