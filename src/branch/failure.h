/* SPDX-License-Identifier: MIT */
/* Failures with their evidence, trees of failures, and how a branch keeps them. */
#ifndef BO_BRANCH_FAILURE_H
#define BO_BRANCH_FAILURE_H

#include "branch/branch_state.h"

/* One failure with its evidence: the public struct first, then the memory that the failure owns. */
struct bo_failure {
    struct bough_error face;
    struct bo_failure *next; /* in the list of the branch state or of the thread's unread failures, in their order */
    const bough_error **attached;
    size_t room;
    const struct bo_failure *above; /* the failure that this one is attached to; `at`: the position in its list */
    size_t at;
    bool thrown;     /* a C++ exception left the block: the code that catches it handles the failure */
    uint64_t ending; /* while unread: the number of the thread's ending that the failure comes from */
    void *trace[32];
    char who[2 * BO_NAME + 8];
    char message[];
};

/* How many failures are kept with evidence: the first failures of a supervisor's children (the tally counts all), and
 * of a child or body that fails repeatedly; the last failures of a thread's unread endings. */
enum { BO_KEPT_FAILURES = 64 };

/* A failure of the calling child or, with `branch` (an index), of that branch's body. NULL with ENOMEM. */
struct bo_failure *bo_failure_new(int code, const char *message, uint32_t branch);
/* A failure of another thread, which is frozen. */
struct bo_failure *bo_failure_of(const struct bo_thread *t, int code, const char *message, uint32_t branch);
/* Store a child's failure; a later failure is attached to the first. `f` is NULL if there was no memory for it. */
void bo_child_failed(struct bo_child *c, int code, struct bo_failure *f);
void bo_failure_attach(struct bo_failure *to, struct bo_failure *other);
/* The failure after `e` in a tree, in which each failure comes before those attached to it. `*depth` is the depth of
 * the returned failure; the root has depth 0. NULL: `e` was the last one. */
const bough_error *bo_failure_next(const bough_error *root, const bough_error *e, unsigned *depth);
void bo_failure_free(struct bo_failure *f);
/* Store a failure in the branch, which then owns it; `f` is NULL if there was no memory. The caller holds the branch
 * state's lock. Returns whether it is kept. */
bool bo_branch_state_failed(struct bo_branch_state *state, int code, struct bo_failure *f, bool body);
/* Free a child that has ended, with its failure. */
void bo_child_free(struct bo_child *child);

#endif
