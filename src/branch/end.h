/* SPDX-License-Identifier: MIT */
/* The end of a branch: by its owner, after it was forgotten or left by a jump, or as an orphan. */
#ifndef BO_BRANCH_END_H
#define BO_BRANCH_END_H

#include <bough/branch.h>
#include "state/arena.h"

/* This thread's branches from before a fork stayed in the parent, because the forked child has no memory for them. */
extern BO_TLS bool bo_branches_lost;
/* Run fn(argument) when the branch has joined its children. 0; -1 with ENOMEM, ESRCH. [owner] */
int bo_branch_at_end(bough_branch *branch, void (*fn)(void *), void *argument);

/* Interrupt, join and end the branches that a thread has open, down to (not including) `until`; BO_NONE: all. */
void bo_branch_unwind(struct bo_thread *t, uint32_t until);
/* End these branches as above, and report that the program has forgotten to end them. */
void bo_branch_end_forgotten(struct bo_thread *t, uint32_t until, const char *by);
/* End the blocks that a plain longjmp() has abandoned: their frames are below the present frame, `sp` (rule 19). */
void bo_branch_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* Make the open branches of a lost thread orphans, see lost.h. */
void bo_branch_orphan(struct bo_thread *t);
/* Called by the last child that leaves an orphaned branch. */
void bo_branch_end_orphan(struct bo_branch *b);
/* Called after the worker was reset: notify the branch that the child has ended; the last child of an orphan ends it.
 * */
void bo_child_gone(uint64_t branch);

/* Join the last worker of the branch whose thread has ended. */
void bo_branch_state_join_leaver(const struct bo_branch_state *state);
void bo_branch_state_run_at_end(struct bo_branch_state *state);

#endif
