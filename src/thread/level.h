/* SPDX-License-Identifier: MIT */
/*
 * Levels: the word's DISABLED, ASYNC, CLOSABLE and TIMED bits follow from the open regions and the clock of critical
 * sections (rule 17).
 *
 *      disabled by start, no allow region   -> DISABLED
 *      a critical section with budget left  -> DISABLED | TIMED
 *      an asynchronous region, not disabled   -> ASYNC
 *      a closable one, not disabled           -> CLOSABLE
 *
 * The clock: a pause of an incident runs while it is pending and a critical section is open. All its pauses together
 * last at most as long as the smallest budget among its sections. The owner adds the pauses up as sections end. When
 * the rest is used up, the ticker ends the protection of the open section: it clears DISABLED and sets OVERRUN.
 */
#ifndef BO_THREAD_LEVEL_H
#define BO_THREAD_LEVEL_H

#include <bough/level.h>
#include "state/arena.h"

typedef void bo_code(void); /* any function: the code that has stored it casts it back */

enum bo_region_kind {
    BO_CRITICAL = 1,
    BO_ALLOWED,
    BO_CLEANUP,
    BO_ASYNC_REGION,
    BO_CLOSABLE_REGION,
    BO_HANDLER_REGION,
    BO_FOREIGN_REGION
};

/* Recompute PENDING and DUE from the records, on the owner: after something was cleared or has ended. */
void bo_level_recompute(struct bo_thread *t);
/* In a forked child, at a point: start the ticker if it is awaited (wake/ticker.h) and this is no signal handler. Keeps
 * errno. */
void bo_level_catch_up(void);
/* A point is about to fail. Returns the record that it fails for, which is marked as delivered. NULL: there is no
 * admitted record; the word was corrected, and the point passes. */
struct bo_record *bo_level_deliver(struct bo_thread *t);
/* Record that the record was delivered: a point of this thread fails for it, or a handler's verdict lets the point
 * pass. */
void bo_level_record_delivery(struct bo_thread *t, struct bo_record *r);
/* Carry out the ladder's steps for this record and thread, at a point: handlers run, once; or the thread freezes here.
 * Returns whether the point fails. */
enum bo_point bo_level_verdict(struct bo_thread *t, struct bo_record *r);
/* When the open critical section's budget ends; BO_FOREVER: none is open. Called by the ticker. */
int64_t bo_level_budget_end(const struct bo_thread *t);
/* End the regions that a plain longjmp has abandoned, below the stack pointer `sp`, and report them (rule 19). */
void bo_level_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* End all regions down to (not including) `until`. */
void bo_level_unwind(struct bo_thread *t, const struct bough_region *until);
/* End all open regions at the end of a thread or child, without reading its stack. */
void bo_level_end(struct bo_thread *t);
/* Reset the levels for a new child, which inherits nothing but these options. */
void bo_level_reset(struct bo_thread *t, bool disabled, bool foreign);
/* In a signal handler: does the interrupted code run in a closable region that was begun outside of any handler, and is
 * it not a handler itself? [signal] */
bool bo_level_in_closable(const struct bo_thread *t, const void *context);
/* Begin a region of one of the ladder's two kinds. `flags`: enum bough_handler_flags. 0 or -1 with errno. `sp` is the
 * public function's frame. */
int bo_level_begin_closable(struct bough_region *region, const char *file, int line, uintptr_t sp);
int bo_level_begin_handler(struct bough_region *region, bo_code *fn, void *argument, unsigned flags, const char *file,
                           int line, uintptr_t sp);
/* The contents of such a region. */
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
