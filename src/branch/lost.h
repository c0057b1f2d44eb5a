/* SPDX-License-Identifier: MIT */
/*
 * Publishing a thread as lost: it stands still permanently, and other threads no longer wait for it.
 *
 *      bo_lost_prepare()       on the thread, before it stands still: it records what only it can find
 *      bo_thread_lost()        on another thread, when it stands still
 *
 * In this order, each step before another thread can see the next:
 *
 *   1. library mutexes that it held become owner-dead
 *   2. its branches become orphans (see the next paragraph)
 *   3. its resource's destructor runs, if it has not been taken out (rule 21)
 *   4. its outcome is BOUGH_LOST; its branch fails with EOWNERDEAD, unless it isolates failures
 *   5. its records are closed with BOUGH_POST_LOST, its generation ends, threads that join it continue
 *   6. its branch no longer waits for it
 *
 * An orphaned branch has no owner (no thread is in its body, can add to it or end it), and its children are
 * interrupted, as those of a body that has failed (rule 23). It counts as a live member of the branch around it, which
 * therefore does not end before it. The last child to leave ends it, and passes its failures to the branch around it.
 * Around an adopted thread's outermost branch there is only the root: then the failures are reported.
 *
 *      b->live:   n  --orphan-->  BO_ORPHANED + n  --each that leaves-->  BO_ORPHANED + 0: bo_branch_end_orphan()
 *
 * Slot, worker and stack of a lost thread are never used again, and never freed: other threads may refer to its frames.
 */
#ifndef BO_BRANCH_LOST_H
#define BO_BRANCH_LOST_H

#include "state/arena.h"

/* [signal] */
void bo_lost_prepare(struct bo_thread *t);
/* `where` describes where it stands, for the failure's message: "at an interruption point". In ordinary code; runs the
 * resource's destructor. */
void bo_thread_lost(struct bo_thread *t, const char *where);

#endif
