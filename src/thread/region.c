/* SPDX-License-Identifier: MIT */
/* Beginning, nesting and ending regions, and finding regions that a jump has left. */
#define _GNU_SOURCE
#include "thread/region.h"
#include <errno.h>
#include "arch/frame.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/log.h"
#include "thread/adopt.h"
#include "thread/foreign_call.h"
#include "thread/level.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/ticker.h"

/* enum bough_handler_flags, which is declared in the ladder's header. */
enum { BO_FINAL_FLAG = 1, BO_ASYNC_FLAG = 2 };

/* ---- begin and end ------------------------------------------------------------------------------------- */

static void remember(struct bo_thread *t, struct bough_region *region)
{
    uint32_t depth = bo_load_relaxed(&t->depth);
    if (depth < BO_REGIONS) {
        t->region[depth].at = region;
        t->region[depth].file = region->file;
        t->region[depth].line = region->line;
        t->region[depth].kind = region->kind;
        t->region[depth].since = bo_now();
    }
    bo_store_release(&t->depth, depth + 1);
    if (bo_unlikely(bo_load_relaxed(&t->call.recorded)) && region->kind != BO_FOREIGN_REGION)
        bo_trace_region_begin((unsigned)region->kind, depth, region->file, region->line);
}

/* A region of foreign code is not recorded: it is no level, and often lasts as long as its thread. */
static void record_end(const struct bo_thread *t, const struct bough_region *region)
{
    uint32_t depth = bo_load_relaxed(&t->depth);
    if (depth && depth <= BO_REGIONS && region->kind != BO_FOREIGN_REGION)
        bo_trace_region_end((unsigned)region->kind, depth - 1, bo_to_monotonic(t->region[depth - 1].since),
                            region->file, region->line);
}

void bo_region_push(struct bo_thread *t, struct bough_region *region, enum bo_region_kind kind, const char *file,
                    int line)
{
    *region = (struct bough_region){
        .outer = t->regions, .owner = bo_thread_handle(t), .kind = kind, .file = file, .line = line};
    bo_signal_fence(); /* a signal handler finds the region complete */
    t->regions = region;
    remember(t, region);
}

/* ---- the ladder's regions ------------------------------------------------------------------------------- */

static void count_handler(struct bo_thread *t, unsigned flags, int by)
{
    _Atomic uint8_t *count = flags & BO_FINAL_FLAG ? &t->incident.finals : &t->incident.handlers;
    bo_store_relaxed(count, (uint8_t)(bo_load_relaxed(count) + by));
    if (flags & BO_ASYNC_FLAG)
        t->open.closable += (uint32_t)by;
}

static struct bough_async *async_around(const struct bough_region *region)
{
    struct bough_region *r = region->outer;
    while (r && r->kind != BO_ASYNC_REGION)
        r = r->outer;
    return (struct bough_async *)r; /* `region` is the first member of struct bough_async */
}

static void pop_region(struct bo_thread *t, struct bough_region *region)
{
    switch ((enum bo_region_kind)region->kind) {
    case BO_CRITICAL:
        bo_section_leave(t, region);
        break;
    case BO_ALLOWED:
        t->open.allow--;
        break;
    case BO_CLEANUP:
        bo_cleanup_leave(t, region);
        break;
    case BO_ASYNC_REGION:
        t->open.async--;
        t->async = async_around(region);
        break;
    case BO_CLOSABLE_REGION:
        t->open.closable--;
        break;
    case BO_HANDLER_REGION:
        count_handler(t, bo_region_flags(region), -1);
        break;
    case BO_FOREIGN_REGION:
        t->open.foreign--;
        break;
    }
    if (bo_unlikely(bo_load_relaxed(&t->call.recorded)))
        record_end(t, region);
    t->regions = region->outer;
    bo_store_release(&t->depth, bo_load_relaxed(&t->depth) - 1);
    region->kind = 0;
}

/*
 * A region lies in the frame of the function that began it. If that frame lies below the present stack pointer, a plain
 * longjmp() has left the region. Its memory may be overwritten by now, so the region's effect is undone from the slot's
 * list of regions. On another stack (an alternate stack, a coroutine's) this can't be determined.
 */
static bool left_behind(const struct bo_thread *t, const void *region, uintptr_t sp)
{
    uintptr_t at = (uintptr_t)region;
    return region && at < sp && at >= t->stack.low && sp >= t->stack.low && sp < t->stack.high;
}

/* How many of the listed regions are still valid. If a region is begun now (`begun`, or NULL), a region that is listed
 * at the same address, and all regions inside it, are invalid: the function that began it was called again. */
static uint32_t still_there(const struct bo_thread *t, uintptr_t sp, const void *begun)
{
    uint32_t depth = bo_load_relaxed(&t->depth);
    uint32_t left = depth < BO_REGIONS ? depth : BO_REGIONS;
    while (left && left_behind(t, t->region[left - 1].at, sp))
        left--;
    for (uint32_t i = 0; i < left; i++)
        if ((const void *)t->region[i].at == begun)
            return i;
    return left;
}

/* Recomputes the levels from the remaining list. */
static void recount(struct bo_thread *t, uint32_t depth)
{
    uint32_t of[BO_FOREIGN_REGION + 1] = {0};
    t->async = NULL;
    for (uint32_t i = 0; i < depth; i++) {
        of[t->region[i].kind]++;
        if (t->region[i].kind == BO_ASYNC_REGION)
            t->async = (struct bough_async *)t->region[i].at;
    }
    if (of[BO_CLEANUP] < t->open.cleanup)
        bo_store_seq(&t->shield.seq, 0);
    t->open.critical = of[BO_CRITICAL];
    t->open.allow = of[BO_ALLOWED];
    t->open.cleanup = of[BO_CLEANUP];
    t->open.async = of[BO_ASYNC_REGION];
    t->open.closable = of[BO_CLOSABLE_REGION];
    t->open.foreign = of[BO_FOREIGN_REGION] + t->call.foreign_from_start;
    bo_store_relaxed(&t->incident.handlers, 0);
    bo_store_relaxed(&t->incident.finals, 0);
    for (uint32_t i = 0; i < depth; i++)
        if (t->region[i].kind == BO_HANDLER_REGION)
            count_handler(t, bo_region_flags(t->region[i].at), 1);
    t->regions = depth ? t->region[depth - 1].at : NULL;
    bo_store_release(&t->depth, depth);
}

static void report_lost(const struct bo_thread *t, uint32_t left)
{
    uint32_t depth = bo_load_relaxed(&t->depth);
    if (depth > BO_REGIONS)
        bo_report(
            "a longjmp() or an exception left regions without ending them: all but the outermost %u are ended now; use "
            "bough_longjmp(), or blocks",
            left);
    for (uint32_t i = depth < BO_REGIONS ? depth : BO_REGIONS; i-- > left;)
        bo_report(
            "a longjmp() or an exception left the region begun at %s:%d without ending it: it is ended now; use bough_longjmp(), or a block",
            t->region[i].file, t->region[i].line);
}

static void end_abandoned_regions(struct bo_thread *t, uintptr_t sp, const void *begun)
{
    bo_foreign_end_abandoned(t, sp);
    if (bo_unlikely(t->incident.handling != NULL) && left_behind(t, t->incident.handling, sp))
        bo_ladder_end_abandoned(t, sp);
    bool again = begun && (const void *)t->regions == begun;
    if (!again && !left_behind(t, t->regions, sp))
        return;
    uint32_t left = still_there(t, sp, begun);
    report_lost(t, left);
    bo_level_changing(t);
    recount(t, left);
    if (bo_unlikely(bo_load_relaxed(&t->call.recorded)))
        bo_trace_regions_left(left);
    bo_level_changed(t);
    bo_level_set(t);
    bo_level_recompute(t);
}

void bo_level_end_abandoned(struct bo_thread *t, uintptr_t sp)
{
    end_abandoned_regions(t, sp, NULL);
}

/* `sp` is the public function's frame: regions below it were left, even if the new region has the same address. */
struct bo_thread *bo_region_beginner(const void *region, int64_t allowance_given, uintptr_t sp)
{
    if (!region || allowance_given < 0)
        return errno = EINVAL, NULL;
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return NULL;
    bo_self_find_stack(t);
    end_abandoned_regions(t, sp, region);
    return t;
}

int bough_critical_begin(struct bough_region *region, int64_t budget, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, budget, BO_FRAME());
    if (!t || bo_ticker_need() != 0)
        return -1;
    bo_region_push(t, region, BO_CRITICAL, file, line);
    bo_section_enter(t, region, budget ? budget : BOUGH_DEFAULT_BUDGET);
    bo_level_set(t);
    return 0;
}

int bough_allow_begin(struct bough_region *region, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, 0, BO_FRAME());
    if (!t)
        return -1;
    bo_region_push(t, region, BO_ALLOWED, file, line);
    t->open.allow++;
    bo_level_set(t);
    return 0;
}

int bough_cleanup_begin(struct bough_region *region, int64_t grace, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, grace, BO_FRAME());
    if (!t || bo_ticker_need() != 0)
        return -1;
    bo_region_push(t, region, BO_CLEANUP, file, line);
    bo_cleanup_enter(t, region, grace ? grace : BOUGH_DEFAULT_GRACE);
    bo_level_recompute(t);
    return 0;
}

int bo_region_end(struct bo_thread *t, struct bough_region *region, uintptr_t sp)
{
    if (!region)
        return errno = EINVAL, -1;
    if (!t || region->kind == 0 || region->owner != bo_thread_handle(t))
        return errno = EPERM, -1;
    bo_level_end_abandoned(t, sp);
    if (t->regions != region)
        return errno = EPERM, -1;
    bool cleanup = region->kind == BO_CLEANUP;
    pop_region(t, region);
    if (cleanup)
        bo_level_recompute(t);
    else
        bo_level_set(t);
    return 0;
}

int bough_region_end(struct bough_region *region)
{
    return bo_region_end(bo_self, region, BO_FRAME());
}

/* The end of the block forms: leaves errno as the block has set it (rule 18). */
void bough_region_leave_(struct bough_region *region)
{
    int saved = errno;
    if (region->kind != 0)
        bo_region_end(bo_self, region, BO_FRAME());
    errno = saved;
}

void bo_level_unwind(struct bo_thread *t, const struct bough_region *until)
{
    while (t->regions && t->regions != until)
        pop_region(t, t->regions);
    bo_level_set(t);
    bo_level_recompute(t);
}

/* This uses only the slot, because the frames of regions that were left open are gone and may be overwritten. */
void bo_level_end(struct bo_thread *t)
{
    if (!t->regions && !(bo_load_seq(&t->t.word) & BO_PENDING))
        return;
    bo_level_changing(t);
    recount(t, 0);
    bo_level_changed(t);
    bo_level_set(t);
    bo_level_recompute(t);
}

int bo_level_begin_handler(struct bough_region *region, bo_code *fn, void *argument, unsigned flags, const char *file,
                           int line, uintptr_t sp)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, 0, sp);
    if (!t || bo_ticker_need() != 0)
        return -1;
    bo_region_push(t, region, BO_HANDLER_REGION, file, line);
    region->saved[0] = (uint64_t)(uintptr_t)fn;
    region->saved[1] = (uint64_t)(uintptr_t)argument;
    region->allowance = flags;
    count_handler(t, flags, 1);
    bo_level_set(t);
    return 0;
}
