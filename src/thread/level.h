/* SPDX-License-Identifier: MIT */
/*
 * Levels inside the library: the word's DISABLED, ASYNC and TIMED bits follow from the regions that are
 * open, and the clock of critical sections (rule 17).
 *
 *      disabled by start, no allow region   -> DISABLED
 *      a critical section with budget left  -> DISABLED | TIMED
 *      an asynchronous region, not disabled   -> ASYNC
 *      a closable one, not disabled           -> CLOSABLE
 *
 * The clock: a pause of an incident runs while it is pending and a critical section is open. All its pauses
 * together last at most the smallest budget met; the owner adds them up as sections end, the ticker
 * ends the one that is open when the rest is used up, by setting DUE in spite of DISABLED.
 */
#ifndef BO_THREAD_LEVEL_H
#define BO_THREAD_LEVEL_H

#include <bough/level.h>
#include "state/arena.h"

typedef void bo_code(void); /* any function: cast back by the code that has stored it */

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
/* In a forked child, at a point: the ticker is awaited (wake/ticker.h), and is started if this is no signal handler.
 * Keeps errno. */
void bo_level_catch_up(void);
/* A point is about to fail. Returns the record that it fails for, which is marked as delivered. NULL: no record is
 * admitted after all, the word is put right, and the point passes. */
struct bo_record *bo_level_deliver(struct bo_thread *t);
/* A point of this thread fails for the record, or would but for a handler's verdict: record that it was delivered
 * here. */
void bo_level_record_delivery(struct bo_thread *t, struct bo_record *r);
/* Runs what the ladder has for this record and thread, at a point: handlers, once; or the thread freezes here. Returns
 * whether the point fails. */
enum bo_point bo_level_verdict(struct bo_thread *t, struct bo_record *r);
/* When the critical section that is open must be opened up; BO_FOREVER if none is. By the ticker. */
int64_t bo_level_budget_end(const struct bo_thread *t);
/* End the regions that a plain longjmp has abandoned, below the stack pointer `sp`, and report them (rule 19). */
void bo_level_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* End all regions down to (not including) `until`. */
void bo_level_unwind(struct bo_thread *t, const struct bough_region *until);
/* Leave all that are open at the end of a thread or child, without looking at its stack. */
void bo_level_end(struct bo_thread *t);
/* A new child begins: nothing is inherited but what it was started with. */
void bo_level_reset(struct bo_thread *t, bool disabled, bool foreign);
/* In a signal's handler: does the code that it has interrupted run in a closable region, begun outside of any handler,
 * and with none on top? [signal] */
bool bo_level_in_closable(const struct bo_thread *t, const void *context);
/* Begin a region of one of the ladder's two kinds: `flags` of enum bough_handler_flags. 0 or -1 with errno. `sp` is the
 * public function's frame. */
int bo_level_begin_closable(struct bough_region *region, const char *file, int line, uintptr_t sp);
int bo_level_begin_handler(struct bough_region *region, bo_code *fn, void *argument, unsigned flags, const char *file,
                           int line, uintptr_t sp);
/* What such a region holds. */
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
