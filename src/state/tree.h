/* SPDX-License-Identifier: MIT */
/*
 * Walks from a thread outwards to the root, to find the record that is due.
 *
 * A branch's `outer` is the branch around it, so one chain leads from any thread to the root:
 *
 *      main ── accept_loop ── server body             thread main: top = clients
 *                    │                                branch clients: owner main, outer root
 *                    ├─ handle_client                 thread child: parent = clients
 *                    └─ handle_client
 *
 * From the inside out, a walk meets the branches that the thread has open, the thread's records, its parent branch, and
 * then, each time the owner changes on the way out, the records of that owner (rule 7).
 *
 * Each thread below a target walks outwards to it. To keep the total length of these walks linear in the size of the
 * tree, a walk stores a note in each branch, `ahead`: the next branch further out that has a record, a shield or times
 * of the ladder, or whose owner has a record. The note is valid until another target is marked: it contains the value
 * of `marks` before the walk.
 *
 *      poster:  1. set the kind's bit in target->due   (seq_cst)   walker:  1. load `marks`                     (seq_cst)
 *               2. marks + 1                           (seq_cst)            2. find nothing in these branches   (seq_cst)
 *               3. make the words below due                                 3. note that, with the number
 *
 * A walker that this poster has made due loads a higher number than the one in notes that were made without the bit. A
 * note describes the targets around a branch, not the branch itself: so a poster that marks a target with no thread
 * below it need not increase `marks`.
 */
#ifndef BO_STATE_TREE_H
#define BO_STATE_TREE_H

#include "state/arena.h"

/* The innermost record that is pending for a thread; with `admitted`, the innermost that its cleanup regions do not
 * suppress. NULL if there is none. For another thread the result is a hint: the tree may change meanwhile. */
struct bo_record *bo_pending_record(const struct bo_thread *t, bool admitted);
/* Describe the innermost record that is pending for a thread: one post, also if its record is closed and posted again
 * meanwhile. False: there is none. */
bool bo_pending_describe(const struct bo_thread *t, struct bough_record *record);
/* The record that interrupts a call of foreign code, without the records that `s` suppresses (rule 22). */
struct bo_record *bo_pending_foreign(const struct bo_thread *t, const struct bo_suppression *s);
/* The highest number among the records pending for a thread; 0 if none. */
uint64_t bo_pending_seq(const struct bo_thread *t);
/* The highest number among the pending records of kinds that interrupt foreign code. */
uint64_t bo_pending_foreign_seq(const struct bo_thread *t);
/* The record on the branch or around it that the branch's shields do not suppress; NULL: none. The caller is below the
 * branch. */
struct bo_record *bo_marked(const struct bo_branch *b);
/* Called after a target with threads below it was marked. [signal] */
void bo_tree_marked(void);
/* The next branch around this one that a walk has to examine; BO_NONE: there is none. `note`: store a note, because the
 * branch does not end meanwhile. */
uint32_t bo_branch_ahead(uint32_t index, bool note);
/* The earliest deadline on a thread's chain; BO_FOREVER if there is none (rule 33). */
int64_t bo_effective_deadline(const struct bo_thread *t);

#endif
