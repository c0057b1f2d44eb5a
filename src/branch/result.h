/* SPDX-License-Identifier: MIT */
/* Results of the branches that a thread has ended: the last result, and unread failures. */
#ifndef BO_BRANCH_RESULT_H
#define BO_BRANCH_RESULT_H

#include "branch/failure.h"
#include "branch/branch_state.h"

/* Allocate room for one result. NULL with ENOMEM. */
struct bo_ending *bo_ending_new(void);
void bo_ending_free(struct bo_ending *e);
/* The number of the calling thread's last ending. */
uint64_t bo_ending_count(void);
/* Keep a branch's result as the calling thread's last result; moves the data for that out of `state`. */
void bo_ending_keep(struct bo_branch_state *state, const char *label, int result, bool interrupted);
/* Store that a block was skipped, and why, as the last ending. Keeps errno. */
void bo_ending_not_opened(const struct bough_branch_options *options, int error);
/* The calling thread's unread failures, in one tree; NULL if there are none. The caller owns it. */
struct bo_failure *bo_ending_unread(void);
/* The last branch's failure, read or not, if its result is this code and it ended after the ending number `after`: for
 * a caller that returns the same code. The caller owns the failure, and keeps it while that ending is the last. */
struct bo_failure *bo_ending_pass_on(int code, uint64_t after);
void bo_ending_drop(void);
/* bo_endings_mine(): the calling thread's results [signal]. The second function is called by another thread, and takes
 * the unread failures of a frozen thread. */
struct bo_endings *bo_endings_mine(void);
struct bo_failure *bo_endings_left(struct bo_endings *all);
/* The failures of an orphaned branch; frees all other data that its ending would have kept. */
struct bo_failure *bo_ending_of_orphan(struct bo_branch_state *state);
/* Called in a forked child: drop the results that the parent has not read. */
void bo_ending_after_fork(void);

void bo_branch_state_free(struct bo_branch_state *state);

#endif
