/* SPDX-License-Identifier: MIT */
/*
 * Posting: mark a target and wake all threads below it. Async-signal-safe, lock-free.
 *
 * Posters and adders of children need no lock between them (rule 4):
 *
 *      poster:  1. write the record, set the kind's bit in target->due   (seq_cst)
 *               2. scan the threads, mark and wake those below the target
 *      adder:   1. make the child's slot LIVE below the branch           (seq_cst)
 *               2. look for a mark on the branch and all around it
 *
 * In the total order of these operations, either the scan finds the child or the adder finds the mark.
 *
 * All threads that share a lock are marked, but only a few are woken at a time: wake/pace.h.
 */
#ifndef BO_WAKE_POST_H
#define BO_WAKE_POST_H

#include "state/arena.h"

/* Post to a live target. 0 with *post (may be NULL) filled in; -1 with ESRCH or EINVAL. */
int bo_post(uint64_t handle, const struct bough_event *event, bough_post *post);
/* Post with a ceiling: the incident climbs no higher than `limit`, unless another post allows it (rule 38). */
int bo_post_up_to(uint64_t handle, const struct bough_event *event, int limit, bough_post *post);
/* Mark and wake one thread, if it is of this generation. `at_once`: do not put off the wake of a thread that shares a
 * lock with others (wake/pace.h). */
void bo_wake(struct bo_thread *t, uint32_t generation, bool at_once);
/* Mark and wake all threads below a target with a pending record. Returns how many threads were marked. */
unsigned bo_wake_subtree(const struct bo_target *target, bool at_once);

#endif
