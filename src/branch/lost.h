/* SPDX-License-Identifier: MIT */
/*
 * Publishing a thread as lost: it stands still permanently, and other threads no longer wait for it.
 *
 *      bo_lost_prepare()       on the thread, before it stands still: records the data that only this thread can find
 *      bo_thread_lost()        on another thread, when the first one stands still
 *
 * Other threads see these steps in this order:
 *
 *   1. library mutexes that the thread held become owner-dead
 *   2. its branches become orphans (see the next paragraph)
 *   3. its resource's destructor runs, if the resource has not been taken out (rule 21)
 *   4. its outcome is BOUGH_LOST; its branch fails with EOWNERDEAD, unless it isolates failures
 *   5. its records are closed with BOUGH_POST_LOST, its generation ends, threads that join it continue
 *   6. its branch no longer waits for it
 *
 * An orphaned branch has no owner (no thread is in its body, can add to it or end it), and its children are
 * interrupted, as those of a body that has failed (rule 23). It counts as a live member of the branch around it, which
 * therefore does not end first. The last child to leave ends the orphan, and passes its failures to the branch around
 * it. If that is the root, around an adopted thread's outermost branch, the failures are reported.
 *
 *      b->live:   n  --orphan-->  BO_ORPHANED + n  --each child leaves-->  BO_ORPHANED + 0: bo_branch_end_orphan()
 *
 * The slot, worker and stack of a lost thread are never reused and never freed: other threads may refer to its frames.
 */
#ifndef BO_BRANCH_LOST_H
#define BO_BRANCH_LOST_H

#include "state/arena.h"

/* [signal] */
void bo_lost_prepare(struct bo_thread *t);
/* `where` is the place of the thread, for the failure's message: "at an interruption point". Called in ordinary code;
 * runs the resource's destructor. */
void bo_thread_lost(struct bo_thread *t, const char *where);

#endif
