/* SPDX-License-Identifier: MIT */
/* What became of the branches that a thread has ended: the result of the last one, and unread failures. */
#ifndef BO_BRANCH_RESULT_H
#define BO_BRANCH_RESULT_H

#include "branch/failure.h"
#include "branch/branch_state.h"

/* Room for one. NULL with ENOMEM. */
struct bo_ending *bo_ending_new(void);
void bo_ending_free(struct bo_ending *e);
/* The number of the calling thread's last one. */
uint64_t bo_ending_count(void);
/* Keep how a branch ended as the calling thread's last; takes what it needs out of `state`. */
void bo_ending_keep(struct bo_branch_state *state, const char *label, int result, bool interrupted);
/* A block that is skipped, and why: an ending as well. Keeps errno. */
void bo_ending_not_opened(const struct bough_branch_options *options, int error);
/* The calling thread's unread failures, in one tree; NULL if there are none. The caller owns it. */
struct bo_failure *bo_ending_unread(void);
/* The last branch's failure if its result is this code and it came after that ending, read or not, for a caller that
 * passes it on. The caller owns it, and keeps it as long as the ending is the thread's last. */
struct bo_failure *bo_ending_pass_on(int code, uint64_t after);
void bo_ending_drop(void);
/* Where a thread keeps all that; and what it has not read, taken by another when it stands still. [signal: the
 * first] */
struct bo_endings *bo_endings_mine(void);
struct bo_failure *bo_endings_left(struct bo_endings *all);
/* The failures of an orphaned branch; frees everything else that its ending would have kept. */
struct bo_failure *bo_ending_of_orphan(struct bo_branch_state *state);
/* In a forked process: what the parent has not read is the parent's to read. */
void bo_ending_after_fork(void);

void bo_branch_state_free(struct bo_branch_state *state);

#endif
