/* SPDX-License-Identifier: MIT */
/*
 * Finds the threads below a target, without a walk out of each, and without a look at all threads.
 *
 * The way out of a thread may be thousands of branches long. So each branch knows besides the one around it an ancestor
 * further out, its `jump`, and the ancestor at a given depth is found in a number of steps that grows with the
 * logarithm of the depth.
 *
 * Slots of threads lie in 64 groups of 512, and in a group in 64 parts of 8. A branch has a bit for each group, and one
 * for each part in any of them, in which a child was ever added to it or to a branch inside it. So both bits of a
 * thread below it are set. A child that ends leaves them set: they show where to look, and bo_below() decides.
 *
 *      adder:   1. set the bits in the branch and in all around it   (seq_cst)
 *               2. make the child's slot LIVE                        (seq_cst)
 *               3. look for a mark on the branch and all around it
 *      poster:  1. make the mark                                     (seq_cst)
 *               2. load the bits, look at these slots
 *
 * A poster that does not find the bits has made the mark before they were set, so the adder sees it (rule 4).
 *
 * The bits are set once for many children. An adder that finds them in `sure` knows that they are set in all branches
 * around as well: another adder, which has set them in this one first, may still be on its way out.
 */
#ifndef BO_STATE_REACH_H
#define BO_STATE_REACH_H

#include "state/arena.h"

/* Puts a branch that is not LIVE yet into the branch `outer`. */
void bo_branch_place(struct bo_branch *b, uint32_t outer);
/* Is the thread, whose generation the caller checks before and after, below the target, or it? */
bool bo_below(const struct bo_thread *t, const struct bo_target *target);
/* A child is about to be LIVE in a branch. */
void bo_reach_add(struct bo_branch *b, uint32_t thread);

/* A look at all live threads below a target, the target's own thread first. */
struct bo_scan {
    const struct bo_target *target;
    bool begun;
    uint32_t first, next, high;
    uint64_t groups, parts;
};

void bo_scan_begin(struct bo_scan *s, const struct bo_target *target);
/* Of a thread alone, without those that branch off it. */
void bo_scan_alone(struct bo_scan *s, const struct bo_target *thread);
/* The next one, and its word as it was; NULL: there is no more. */
struct bo_thread *bo_scan_next(struct bo_scan *s, uint64_t *word);

#endif
