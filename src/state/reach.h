/* SPDX-License-Identifier: MIT */
/*
 * Finds the threads below a target without walking outwards from each thread, and without examining all threads.
 *
 * The chain from a thread to the root may be thousands of branches long. So each branch refers not only to the branch
 * around it, but also to an ancestor further out, its `jump`. By these, the ancestor at a given depth is found in a
 * number of steps that grows with the logarithm of the depth.
 *
 * The slots of threads form 64 groups of 512 slots; each group has 64 parts of 8 slots. A branch has 64 bits for groups
 * and 64 for parts, the same bit for the nth part of each group. A bit is set if a child in such a slot was ever added
 * to the branch or to a branch inside it. So for a thread below the branch both bits are set. A child that ends leaves
 * them set: the bits only select candidates, and bo_below() decides.
 *
 *      adder:   1. set the bits in the branch and in all around it   (seq_cst)
 *               2. make the child's slot LIVE                        (seq_cst)
 *               3. look for a mark on the branch and all around it
 *      poster:  1. make the mark                                     (seq_cst)
 *               2. load the bits, look at these slots
 *
 * A poster that does not find the bits has made the mark before they were set, so the adder sees it (rule 4).
 *
 * The bits are set once for many children. If an adder finds the bits in `sure`, they are set in all branches around,
 * too. The bits in `reach` do not show that, because another adder, which has set them in this branch first, may still
 * be setting them further out.
 */
#ifndef BO_STATE_REACH_H
#define BO_STATE_REACH_H

#include "state/arena.h"

/* Puts a branch that is not LIVE yet into the branch `outer`. */
void bo_branch_place(struct bo_branch *b, uint32_t outer);
/* Whether the thread is the target, or below it. The caller checks the thread's generation before and after. */
bool bo_below(const struct bo_thread *t, const struct bo_target *target);
/* Called before a child becomes LIVE in a branch. */
void bo_reach_add(struct bo_branch *b, uint32_t thread);

/* A scan of all live threads below a target. If the target is a thread, it comes first. */
struct bo_scan {
    const struct bo_target *target;
    bool begun;
    uint32_t first, next, high;
    uint64_t groups, parts;
};

void bo_scan_begin(struct bo_scan *s, const struct bo_target *target);
/* Scan only the thread, without those in its branches. */
void bo_scan_alone(struct bo_scan *s, const struct bo_target *thread);
/* The next thread, and its word as it was read; NULL: there is no more. */
struct bo_thread *bo_scan_next(struct bo_scan *s, uint64_t *word);

#endif
