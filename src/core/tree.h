/* SPDX-License-Identifier: MIT */
/*
 * Walks over the tree: who is below whom, and which record is due.
 *
 * A branch's `outer` is the one around it, so one chain leads from any thread to the root:
 *
 *      main ── accept_loop ── server body             thread main: top = clients
 *                    │                                branch clients: owner main, outer root
 *                    ├─ handle_client                 thread child: parent = clients
 *                    └─ handle_client
 *
 * From the inside out a thread meets: the branches it has open, its own records, its parent branch, and then,
 * each time the owner changes on the way out, that owner's own records (rule 7).
 */
#ifndef BO_CORE_TREE_H
#define BO_CORE_TREE_H

#include "core/arena.h"

/* Is the thread, whose generation the caller checks before and after, below the target, or it? */
bool bo_below(const struct bo_thread *t, const struct bo_target *target, bool branch);
/* The innermost record that is pending for a thread, admitted (its cleanup regions looked at) or
 * not; NULL if there is none. By another thread the result is a hint: the tree may change meanwhile. */
struct bo_record *bo_pending_record(const struct bo_thread *t, bool admitted);
/* The record that a call of foreign code is to be interrupted by, if those suppressed by `s` do not count (rule 22). */
struct bo_record *bo_pending_foreign(const struct bo_thread *t, const struct bo_suppressed *s);
/* The highest number among the records pending for a thread; 0 if none. */
uint64_t bo_pending_seq(const struct bo_thread *t);
/* The same among the kinds that interrupt foreign code. */
uint64_t bo_pending_foreign_seq(const struct bo_thread *t);
/* Is there a record on the branch or around it? Shields as they stand at the branch. */
struct bo_record *bo_marked(const struct bo_branch *b);
/* The earliest deadline over a thread's chain; BO_FOREVER if there is none (rule 33). */
int64_t bo_effective_deadline(const struct bo_thread *t);

#endif
