/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "core/level.h"
#include <errno.h>
#include <string.h>
#include <ucontext.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/hook.h"
#include "base/raw.h"
#include "core/above.h"
#include "core/deliver.h"
#include "core/report.h"
#include "core/self.h"
#include "core/ticker.h"
#include "core/tree.h"

/* enum bough_handler_flags, of a header that is the ladder's. */
enum { BO_FINAL_FLAG = 1, BO_ASYNC_FLAG = 2 };

/* ---- the word follows the regions ------------------------------------------------------------------ */

static bool masked_by_start(const struct bo_thread *t)
{
    return t->disabled && t->allow_depth == 0;
}

static uint64_t level_bits(const struct bo_thread *t, bool overrun)
{
    if (masked_by_start(t))
        return BO_MASKED;
    if (t->crit_depth && !overrun)
        return BO_MASKED | BO_TIMED;
    return (t->async_depth ? BO_ASYNC : 0) | (t->closable_depth ? BO_CLOSABLE : 0);
}

/* The event descriptor, rung by ourselves when an interrupt becomes due by a region's end. */
static void ring_event(const struct bo_thread *t)
{
    static const uint64_t one = 1;
    bo_raw3(SYS_write, t->event_fd, (long)&one, sizeof one);
}

/* A poster that is about to ring is waited for, or its ring would come after this and stay. Not for ever: it
 * may be what this very handler runs on top of. */
static void quiet_event(const struct bo_thread *t)
{
    uint64_t count;
    for (int tries = 0; tries < 1000 && (bo_load_seq(&t->t.word) & BO_EVENT_SENT); tries++)
        bo_raw0(SYS_sched_yield);
    bo_raw3(SYS_read, t->event_fd, (long)&count, sizeof count);
}

/*
 * What a poster does for an interrupt that is due at once, the owner does for one that becomes due by a region's
 * end: ring; if this is a handler on top of a call, have that call end when the handler returns (rule 5); and see to
 * it that an asynchronous region around is left in time (rule 14).
 */
static void due_by_ourselves(struct bo_thread *t, uint64_t w)
{
    if (w & BO_EVENT)
        ring_event(t);
    if (w & BO_IN)
        bo_deliver_again(t);
    else if (w & BO_ASYNC)
        bo_ticker_watch(t);
}

/*
 * Clear first and look then: a poster marks its record before the word, so one that we miss by looking too
 * early sets the word after we have cleared it.
 */
void bo_level_settle(struct bo_thread *t)
{
    const uint64_t shown = BO_DUE | BO_PENDING | BO_FOREIGN_DUE;
    uint64_t w = bo_and_seq(&t->t.word, ~shown);
    if (w & BO_EVENT)
        quiet_event(t);
    if (!bo_pending_record(t, false))
        return;
    bool due = !(w & BO_MASKED) && bo_pending_record(t, true);
    w = bo_or_seq(&t->t.word, BO_PENDING | (due ? BO_DUE | BO_FOREIGN_DUE : 0));
    if (due)
        due_by_ourselves(t, w);
    else if (!(w & BO_MASKED) || (w & BO_TIMED))
        bo_ticker_look(&t->t); /* from here on only time makes it due: a grace or a budget runs out */
}

static void set_level(struct bo_thread *t)
{
    const uint64_t all = BO_MASKED | BO_TIMED | BO_ASYNC | BO_CLOSABLE;
    uint64_t w = bo_load_relaxed(&t->t.word), next;
    do {
        next = w & ~(t->crit_depth ? all : all | BO_OVERRUN);
        next |= level_bits(t, next & BO_OVERRUN);
        if (next & BO_MASKED)
            next &= ~(uint64_t)(BO_DUE | BO_FOREIGN_DUE);
    } while (!bo_cas_seq(&t->t.word, &w, next));
    /* A wake for the region that ends here must not reach what comes after it (rule 13). */
    const uint64_t open = BO_ASYNC | BO_CLOSABLE;
    BO_HOOK(region_left);
    if ((w & open & ~next) && (w & BO_UNDER_WAY) && !(w & BO_IN))
        bo_deliver_settle(t);
    if (!(w & BO_PENDING))
        return;
    if (!(next & BO_MASKED))
        bo_level_settle(t);
    else if (next & BO_TIMED)
        bo_ticker_look(&t->t);
}

/* ---- what a point meets ------------------------------------------------------------------------------ */

static void note_meeting(struct bo_thread *t, struct bo_record *r)
{
    uint64_t seq = bo_pending_seq(t);
    uint8_t rung = bo_load_relaxed(&r->rung);
    if (seq <= bo_load_relaxed(&t->met_seq) && rung <= bo_load_relaxed(&t->met_rung))
        return;
    bo_store_relaxed(&t->met_seq, seq);
    bo_store_relaxed(&t->met_rung, rung);
    bo_store_relaxed(&t->met_at, bo_now());
    if (rung > bo_load_relaxed(&r->delivered_rung))
        bo_store_relaxed(&r->delivered_rung, rung);
}

bool bo_level_let_go(struct bo_thread *t, struct bo_record *r)
{
    bool climbs = bo_load_relaxed(&r->rung) > 1 || bo_load_relaxed(&t->freeze);
    if (bo_likely(!climbs))
        return false;
    bo_record_deliver(r);
    note_meeting(t, r);
    return !bo_ladder_meet(t, r);
}

struct bo_record *bo_level_meet(struct bo_thread *t)
{
    struct bo_record *r = bo_pending_record(t, true);
    if (!r || (bo_load_seq(&t->t.word) & BO_MASKED)) {
        bo_level_settle(t);
        return NULL;
    }
    bo_record_deliver(r);
    note_meeting(t, r);
    if (bo_level_let_go(t, r)) {
        bo_level_settle(t);
        return NULL;
    }
    t->last_was_cut = 1;
    return r;
}

/* ---- the clock of critical sections ------------------------------------------------------------------- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The present incident's account; a new incident opens a new one. */
static void account(struct bo_thread *t, uint64_t seq)
{
    if (bo_load_relaxed(&t->pause_seq) == seq)
        return;
    bo_store_relaxed(&t->pause_seq, seq);
    bo_store_relaxed(&t->pause_used, 0);
    bo_store_relaxed(&t->pause_min, BO_FOREVER);
}

static void charge(struct bo_thread *t)
{
    struct bo_record *r = bo_pending_record(t, false);
    if (!r)
        return;
    account(t, bo_pending_seq(t));
    int64_t since = bo_load_relaxed(&r->since), entry = bo_load_relaxed(&t->crit_entry);
    int64_t used = bo_now() - (since > entry ? since : entry);
    bo_store_relaxed(&t->pause_used, bo_load_relaxed(&t->pause_used) + (used > 0 ? used : 0));
    bo_store_relaxed(&t->pause_min, smaller(bo_load_relaxed(&t->pause_min), bo_load_relaxed(&t->crit_budget)));
}

/* How long a section with this budget may pause what is pending. */
static int64_t allowance(const struct bo_thread *t, uint64_t seq, int64_t budget)
{
    if (bo_load_relaxed(&t->pause_seq) != seq)
        return budget;
    return smaller(budget, bo_load_relaxed(&t->pause_min)) - bo_load_relaxed(&t->pause_used);
}

int64_t bo_level_budget_end(const struct bo_thread *t)
{
    uint32_t serial = bo_load_acquire(&t->level_serial);
    /* Acquire: who sees what was stored below level_changing() sees its serial, too. */
    int64_t entry = bo_load_acquire(&t->crit_entry), budget = bo_load_acquire(&t->crit_budget);
    struct bo_record *r = bo_pending_record(t, false);
    if (!r)
        return BO_FOREVER;
    int64_t since = bo_load_relaxed(&r->since);
    int64_t end = bo_add_time(since > entry ? since : entry, allowance(t, bo_pending_seq(t), budget));
    bool torn = (serial & 1) || bo_load_relaxed(&t->level_serial) != serial;
    return torn ? bo_now() + BO_MS(1) : end;
}

/* The owner is between level_changing and level_changed: the ticker looks again later. What it must not see in parts
 * is stored with release, and so after the serial. */
static void level_changing(struct bo_thread *t)
{
    bo_store_relaxed(&t->level_serial, bo_load_relaxed(&t->level_serial) + 1);
}

static void level_changed(struct bo_thread *t)
{
    bo_store_release(&t->level_serial, bo_load_relaxed(&t->level_serial) + 1);
}

static void count_section(struct bo_thread *t)
{
    uint64_t w = bo_load_relaxed(&t->t.word);
    while (!bo_cas_seq(&t->t.word, &w, (w & ~BO_SECTION_MASK) | ((w + BO_SECTION_ONE) & BO_SECTION_MASK)))
        ;
}

static void enter_section(struct bo_thread *t, struct bough_region *region, int64_t budget)
{
    level_changing(t);
    region->saved[0] = (uint64_t)bo_load_relaxed(&t->crit_budget);
    if (t->crit_depth++ == 0) {
        bo_store_release(&t->crit_entry, bo_now());
        bo_store_release(&t->crit_budget, budget);
        count_section(t);
        if ((bo_load_seq(&t->t.word) & BO_PENDING) && allowance(t, bo_pending_seq(t), budget) <= 0)
            bo_or_seq(&t->t.word, BO_OVERRUN); /* this incident has been paused for long enough */
    } else {
        bo_store_release(&t->crit_budget, smaller(budget, bo_load_relaxed(&t->crit_budget)));
    }
    level_changed(t);
}

/* A section in a thread that is disabled anyway has paused nothing. An inner one that nobody waited in has not been
 * met: its budget goes with it. */
static void leave_section(struct bo_thread *t, const struct bough_region *region)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (t->crit_depth == 1 && (w & BO_PENDING) && (w & (BO_TIMED | BO_OVERRUN)))
        charge(t);
    level_changing(t);
    if (--t->crit_depth && !(w & BO_PENDING))
        bo_store_release(&t->crit_budget, (int64_t)region->saved[0]);
    level_changed(t);
}

/* ---- cleanup regions ----------------------------------------------------------------------------------- */

static void enter_cleanup(struct bo_thread *t, struct bough_region *region, int64_t grace)
{
    region->saved[0] = bo_load_relaxed(&t->shield_seq);
    region->saved[1] = (uint64_t)bo_load_relaxed(&t->shield_until);
    region->allowance = bo_load_relaxed(&t->shield_rung);
    t->clean_depth++;
    uint64_t met = bo_load_relaxed(&t->met_seq);
    if (!met || !(bo_load_seq(&t->t.word) & BO_PENDING))
        return;
    bo_store_relaxed(&t->shield_until, bo_add_time(bo_load_relaxed(&t->met_at), grace));
    bo_store_relaxed(&t->shield_rung, bo_load_relaxed(&t->met_rung));
    bo_store_seq(&t->shield_seq, met);
}

static void leave_cleanup(struct bo_thread *t, const struct bough_region *region)
{
    t->clean_depth--;
    bo_store_relaxed(&t->shield_until, (int64_t)region->saved[1]);
    bo_store_relaxed(&t->shield_rung, (uint8_t)region->allowance);
    bo_store_seq(&t->shield_seq, region->saved[0]);
}

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
}

static void push(struct bo_thread *t, struct bough_region *region, enum bo_region_kind kind, const char *file, int line)
{
    *region = (struct bough_region){
        .outer = t->regions, .owner = bo_thread_handle(t), .kind = kind, .file = file, .line = line};
    bo_signal_fence(); /* who looks in a handler finds it whole */
    t->regions = region;
    remember(t, region);
}

/* ---- the ladder's regions ------------------------------------------------------------------------------- */

static void count_handler(struct bo_thread *t, unsigned flags, int by)
{
    _Atomic uint8_t *count = flags & BO_FINAL_FLAG ? &t->finals : &t->handlers;
    bo_store_relaxed(count, (uint8_t)(bo_load_relaxed(count) + by));
    if (flags & BO_ASYNC_FLAG)
        t->closable_depth += (uint32_t)by;
}

static struct bough_async *async_around(const struct bough_region *region)
{
    struct bough_region *r = region->outer;
    while (r && r->kind != BO_ASYNC_REGION)
        r = r->outer;
    return (struct bough_async *)r; /* which is its first member */
}

static void pop(struct bo_thread *t, struct bough_region *region)
{
    switch ((enum bo_region_kind)region->kind) {
    case BO_CRITICAL:
        leave_section(t, region);
        break;
    case BO_ALLOWED:
        t->allow_depth--;
        break;
    case BO_CLEANUP:
        leave_cleanup(t, region);
        break;
    case BO_ASYNC_REGION:
        t->async_depth--;
        t->async = async_around(region);
        break;
    case BO_CLOSABLE_REGION:
        t->closable_depth--;
        break;
    case BO_HANDLER_REGION:
        count_handler(t, bo_region_flags(region), -1);
        break;
    }
    t->regions = region->outer;
    bo_store_release(&t->depth, bo_load_relaxed(&t->depth) - 1);
    region->kind = 0;
}

/*
 * A region lives in the frame of the function that began it. If that frame lies below the present stack
 * pointer, a plain longjmp went over it. Its memory may be in use for something else by now, so what the
 * region did is undone from the slot's own notes. On another stack (an alternate one, a coroutine's)
 * nothing can be told.
 */
static bool left_behind(const struct bo_thread *t, const struct bough_region *region, uintptr_t sp)
{
    uintptr_t at = (uintptr_t)region;
    return region && at < sp && at >= t->stack_low && sp >= t->stack_low && sp < t->stack_high;
}

/* How many of the regions noted are still there. Where one is begun now (`begun`, or NULL), another that is noted
 * there is not, nor is what was inside it: the function that began it was called again. */
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

/* What is in force follows from the notes that are left. */
static void recount(struct bo_thread *t, uint32_t depth)
{
    uint32_t of[BO_HANDLER_REGION + 1] = {0};
    t->async = NULL;
    for (uint32_t i = 0; i < depth; i++) {
        of[t->region[i].kind]++;
        if (t->region[i].kind == BO_ASYNC_REGION)
            t->async = (struct bough_async *)t->region[i].at;
    }
    if (of[BO_CLEANUP] < t->clean_depth)
        bo_store_seq(&t->shield_seq, 0);
    t->crit_depth = of[BO_CRITICAL];
    t->allow_depth = of[BO_ALLOWED];
    t->clean_depth = of[BO_CLEANUP];
    t->async_depth = of[BO_ASYNC_REGION];
    t->closable_depth = of[BO_CLOSABLE_REGION];
    bo_store_relaxed(&t->handlers, 0);
    bo_store_relaxed(&t->finals, 0);
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
        bo_report("a longjmp() left regions without ending them: all but the outermost %u are ended now; use "
                  "bough_longjmp()",
                  left);
    for (uint32_t i = depth < BO_REGIONS ? depth : BO_REGIONS; i-- > left;)
        bo_report("a longjmp() left the region begun at %s:%d without ending it: it is ended now; use bough_longjmp()",
                  t->region[i].file, t->region[i].line);
}

static void sweep(struct bo_thread *t, uintptr_t sp, const void *begun)
{
    bool again = begun && (const void *)t->regions == begun;
    if (!again && !left_behind(t, t->regions, sp))
        return;
    uint32_t left = still_there(t, sp, begun);
    report_lost(t, left);
    level_changing(t);
    recount(t, left);
    level_changed(t);
    set_level(t);
    bo_level_settle(t);
}

void bo_level_sweep(struct bo_thread *t, uintptr_t sp)
{
    sweep(t, sp, NULL);
}

/* `sp` is the public function's frame: what lies below it was left, ours included. */
static struct bo_thread *beginner(const void *region, int64_t allowance_given, uintptr_t sp)
{
    if (!region || allowance_given < 0)
        return errno = EINVAL, NULL;
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return NULL;
    bo_self_find_stack(t);
    sweep(t, sp, region);
    return t;
}

int bough_critical_begin(struct bough_region *region, int64_t budget, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = beginner(region, budget, (uintptr_t)__builtin_frame_address(0));
    if (!t || bo_ticker_need() != 0)
        return -1;
    push(t, region, BO_CRITICAL, file, line);
    enter_section(t, region, budget ? budget : BOUGH_DEFAULT_BUDGET);
    set_level(t);
    return 0;
}

int bough_allow_begin(struct bough_region *region, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = beginner(region, 0, (uintptr_t)__builtin_frame_address(0));
    if (!t)
        return -1;
    push(t, region, BO_ALLOWED, file, line);
    t->allow_depth++;
    set_level(t);
    return 0;
}

int bough_cleanup_begin(struct bough_region *region, int64_t grace, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = beginner(region, grace, (uintptr_t)__builtin_frame_address(0));
    if (!t || bo_ticker_need() != 0)
        return -1;
    push(t, region, BO_CLEANUP, file, line);
    enter_cleanup(t, region, grace ? grace : BOUGH_DEFAULT_GRACE);
    bo_level_settle(t);
    return 0;
}

static int end_region(struct bo_thread *t, struct bough_region *region, uintptr_t sp)
{
    if (!region)
        return errno = EINVAL, -1;
    if (!t || region->kind == 0 || region->owner != bo_thread_handle(t))
        return errno = EPERM, -1;
    bo_level_sweep(t, sp);
    if (t->regions != region)
        return errno = EPERM, -1;
    bool cleanup = region->kind == BO_CLEANUP;
    pop(t, region);
    if (cleanup)
        bo_level_settle(t);
    else
        set_level(t);
    return 0;
}

int bough_region_end(struct bough_region *region)
{
    return end_region(bo_self, region, (uintptr_t)__builtin_frame_address(0));
}

int bough_region_end_check(struct bough_region *region)
{
    return end_region(bo_self, region, (uintptr_t)__builtin_frame_address(0)) != 0 ? -1 : bough_check();
}

/* The block forms' end: leaves errno as the block has set it (rule 18). */
void bough_region_leave_(struct bough_region *region)
{
    int saved = errno;
    if (region->kind != 0)
        end_region(bo_self, region, (uintptr_t)__builtin_frame_address(0));
    errno = saved;
}

enum bough_level bough_level(void)
{
    const struct bo_thread *t = bo_self;
    uint64_t w = t ? bo_load_seq(&t->t.word) : 0;
    if (w & BO_MASKED)
        return BOUGH_DISABLED;
    return w & BO_ASYNC ? BOUGH_ASYNCHRONOUS : BOUGH_DEFERRED;
}

void bo_level_unwind(struct bo_thread *t, const struct bough_region *until)
{
    while (t->regions && t->regions != until)
        pop(t, t->regions);
    set_level(t);
    bo_level_settle(t);
}

/* The frames in which regions were left open are gone, and their memory is in use for something else. */
void bo_level_end(struct bo_thread *t)
{
    level_changing(t);
    recount(t, 0);
    level_changed(t);
    set_level(t);
    bo_level_settle(t);
}

void bo_level_reset(struct bo_thread *t, bool disabled)
{
    t->crit_depth = t->allow_depth = t->async_depth = t->clean_depth = t->closable_depth = 0;
    t->regions = NULL;
    t->async = NULL;
    t->handling = NULL;
    t->handled_seq = 0;
    t->jumped = false;
    t->closers = NULL;
    bo_store_relaxed(&t->handlers, 0);
    bo_store_relaxed(&t->finals, 0);
    bo_store_relaxed(&t->resumed_seq, 0);
    bo_store_relaxed(&t->met_rung, 0);
    bo_store_relaxed(&t->shield_rung, 0);
    bo_store_relaxed(&t->freeze, 0);
    bo_store_relaxed(&t->t.ladder.set, 0);
    bo_store_relaxed(&t->joins, BO_NONE);
    bo_store_relaxed(&t->closing, 0);
    t->libc_wait = NULL;
    t->disabled = disabled;
    t->last_was_cut = 0;
    bo_store_relaxed(&t->depth, 0);
    bo_store_relaxed(&t->pause_seq, 0);
    bo_store_relaxed(&t->shield_seq, 0);
    bo_store_relaxed(&t->met_seq, 0);
    bo_store_relaxed(&t->asks, 0);
    bo_store_relaxed(&t->told, 0);
    bo_store_relaxed(&t->blocks_wake, 0);
}

int bo_level_begin_closable(struct bough_region *region, const char *file, int line, uintptr_t sp)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = beginner(region, 0, sp);
    if (!t || bo_ticker_need() != 0)
        return -1;
    push(t, region, BO_CLOSABLE_REGION, file, line);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&region->saved[0], sizeof(uint64_t));
    t->closable_depth++;
    set_level(t);
    return 0;
}

int bo_level_begin_handler(struct bough_region *region, bo_code *fn, void *argument, unsigned flags, const char *file,
                           int line, uintptr_t sp)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = beginner(region, 0, sp);
    if (!t || bo_ticker_need() != 0)
        return -1;
    push(t, region, BO_HANDLER_REGION, file, line);
    region->saved[0] = (uint64_t)(uintptr_t)fn;
    region->saved[1] = (uint64_t)(uintptr_t)argument;
    region->allowance = flags;
    count_handler(t, flags, 1);
    set_level(t);
    return 0;
}

/* ---- asynchronous regions ------------------------------------------------------------------------------- */

int bough_async_begin_(struct bough_async *async, const char *file, int line)
{
    if (async)
        async->region.kind = 0;
    struct bo_thread *t = beginner(async, 0, (uintptr_t)__builtin_frame_address(0));
    if (!t || bo_ticker_need() != 0 || bough_check() != 0)
        return -1;
    push(t, &async->region, BO_ASYNC_REGION, file, line);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&async->region.saved[0], sizeof(uint64_t));
    t->async_depth++;
    t->async = async;
    set_level(t);
    return 0;
}

int bough_async_end(struct bough_async *async)
{
    return async ? bough_region_end(&async->region) : (errno = EINVAL, -1);
}

/* Arrived by siglongjmp out of bo_async_cut(). */
int bough_async_left_(struct bough_async *async)
{
    struct bo_thread *t = bo_self;
    bo_level_unwind(t, async->region.outer);
    bo_level_meet(t);
    return errno = ECANCELED, -1;
}

/* Was code interrupted that ran on the alternate stack, of which the region knows nothing? It may lie on the thread's
 * own, and then addresses tell nothing. */
static bool on_alternate_stack(const ucontext_t *uc, uintptr_t sp, uintptr_t region)
{
    uintptr_t low = (uintptr_t)uc->uc_stack.ss_sp, size = uc->uc_stack.ss_size;
    return !(uc->uc_stack.ss_flags & SS_DISABLE) && sp - low < size && region - low >= size;
}

/* Is it the region's own code that was interrupted, and no handler on top of it? The region may be the last thing in
 * its frame, where the stack pointer is. A handler has signals blocked that the
 * region had not (`mask`), or runs on the alternate stack, or its frame lies between. */
static bool is_of_region(const struct bo_thread *t, const ucontext_t *uc, const void *region, uint64_t mask)
{
    uintptr_t sp = bo_arch_sp(uc), at = (uintptr_t)region;
    uint64_t blocked;
    memcpy(&blocked, &uc->uc_sigmask, sizeof blocked);
    bool same_stack = sp <= at && (sp >= t->stack_low || at < t->stack_low);
    return blocked == mask && same_stack && !on_alternate_stack(uc, sp, at) && bo_deliver_between(sp, at) != 1;
}

/*
 * In the wake signal's handler, the region open and an interrupt due. If another handler runs on top of the
 * region, it is not abandoned: the ticker asks again later (rule 14).
 */
void bo_async_cut(struct bo_thread *t, void *context)
{
    struct bough_async *async = t->async;
    if (!bo_pending_record(t, true)) {
        bo_level_settle(t); /* it was cleared meanwhile, or does not concern this thread */
        return;
    }
    if (!async || t->regions != &async->region || !is_of_region(t, context, async, async->region.saved[0])) {
        bo_ticker_watch(t);
        return;
    }
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&async->region.saved[0], 0, sizeof(uint64_t));
    siglongjmp(async->leave, 1);
}

/* ---- closable regions ------------------------------------------------------------------------------------ */

/* The innermost one that is noted. */
static const struct bough_region *closable(const struct bo_thread *t)
{
    uint32_t depth = bo_load_relaxed(&t->depth), i = depth < BO_REGIONS ? depth : BO_REGIONS;
    while (i && t->region[i - 1].kind != BO_CLOSABLE_REGION)
        i--;
    return i ? t->region[i - 1].at : NULL;
}

/* One that was begun in a handler says nothing of the code below that. On another stack nothing can be told. */
bool bo_level_in_closable(const struct bo_thread *t, const void *context)
{
    const struct bough_region *region = closable(t);
    uintptr_t sp = bo_arch_sp(context);
    return region && sp >= t->stack_low && sp < t->stack_high && is_of_region(t, context, region, region->saved[0]) &&
           bo_deliver_between(sp, t->stack_high) != 1;
}
