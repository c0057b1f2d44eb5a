/* SPDX-License-Identifier: MIT */
/*
 * Levels: the word's DISABLED, ASYNC, CLOSABLE and TIMED bits follow from the open regions and the clock of critical
 * sections (rule 17).
 *
 *      disabled by start, no allow region   -> DISABLED
 *      a critical section with budget left  -> DISABLED | TIMED
 *      an asynchronous region, not disabled -> ASYNC
 *      a closable region, not disabled      -> CLOSABLE
 *
 * The clock: an incident pauses while it is pending and a critical section is open. All its pauses together last at
 * most as long as the smallest budget among these sections. The owner adds the pauses up as sections end. When the rest
 * is used up, the ticker ends the protection of the open section: it clears DISABLED and sets OVERRUN.
 */
#ifndef BO_THREAD_LEVEL_H
#define BO_THREAD_LEVEL_H

#include <bough/level.h>
#include "state/arena.h"

typedef void bo_code(void); /* any function: the code that stores it casts it back to call it */

enum bo_region_kind {
    BO_CRITICAL = 1,
    BO_ALLOWED,
    BO_CLEANUP,
    BO_ASYNC_REGION,
    BO_CLOSABLE_REGION,
    BO_HANDLER_REGION,
    BO_FOREIGN_REGION
};

/* Recompute PENDING and DUE from the records. Called on the owner, after a record was cleared or a region has ended. */
void bo_level_recompute(struct bo_thread *t);
/* Called at a point of a forked child: start the ticker if it is awaited (wake/ticker.h) and this is no signal handler.
 * Keeps errno. */
void bo_level_catch_up(void);
/* Called when a point is about to fail. Returns the record that the point fails for, which is marked as delivered.
 * NULL: no admitted record is pending; the word was corrected, and the point passes. */
struct bo_record *bo_level_deliver(struct bo_thread *t);
/* Store that the record was delivered: a point of this thread fails for it, or a handler's verdict lets the point
 * pass. */
void bo_level_record_delivery(struct bo_thread *t, struct bo_record *r);
/* Carry out the ladder's steps for this record and thread, at a point: handlers run, once; or the thread freezes here.
 * Returns whether the point fails. */
enum bo_point bo_level_verdict(struct bo_thread *t, struct bo_record *r);
/* When the open critical section's budget ends; BO_FOREVER: no interrupt is pending. Called by the ticker. */
int64_t bo_level_budget_end(const struct bo_thread *t);
/* End the regions that a plain longjmp has abandoned, below the stack pointer `sp`, and report them (rule 19). */
void bo_level_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* End all regions down to (not including) `until`. */
void bo_level_unwind(struct bo_thread *t, const struct bough_region *until);
/* End all open regions at the end of a thread or child, without reading its stack. */
void bo_level_end(struct bo_thread *t);
/* Reset the levels for a new child, which has only these options. */
void bo_level_reset(struct bo_thread *t, bool disabled, bool foreign);
/* Called in a signal handler: whether the interrupted code runs in a closable region that was begun outside of any
 * handler, and is not a handler itself. [signal] */
bool bo_level_in_closable(const struct bo_thread *t, const void *context);
/* Begin a region of one of the ladder's two kinds. `flags`: enum bough_handler_flags. 0 or -1 with errno. `sp` is the
 * public function's frame. */
int bo_level_begin_closable(struct bough_region *region, const char *file, int line, uintptr_t sp);
int bo_level_begin_handler(struct bough_region *region, bo_code *fn, void *argument, unsigned flags, const char *file,
                           int line, uintptr_t sp);
/* The function and argument that such a region stores. */
static inline bo_code *bo_region_code(const struct bough_region *region)
{
    return (bo_code *)(uintptr_t)region->saved[0];
}
static inline void *bo_region_argument(const struct bough_region *region)
{
    return (void *)(uintptr_t)region->saved[1];
}
static inline unsigned bo_region_flags(const struct bough_region *region)
{
    return (unsigned)region->allowance;
}

#endif
