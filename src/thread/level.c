/* SPDX-License-Identifier: MIT */
#include "thread/level.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/hook.h"
#include "base/mask.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/tree.h"
#include "thread/adopt.h"
#include "thread/foreign_call.h"
#include "thread/region.h"
#include "thread/suppress.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/frames.h"
#include "wake/ticker.h"
#include "wake/wake.h"
#include "wake/wake_send.h"

/* ---- the word follows the regions ------------------------------------------------------------------ */

static bool masked_by_start(const struct bo_thread *t)
{
    return t->disabled && t->open.allow == 0;
}

static uint64_t level_bits(const struct bo_thread *t, bool overrun)
{
    if (masked_by_start(t))
        return BO_DISABLED;
    if (t->open.critical && !overrun)
        return BO_DISABLED | BO_TIMED;
    return (t->open.async ? BO_ASYNC : 0) | (t->open.closable ? BO_CLOSABLE : 0);
}

/* Empties the event descriptor, after it has waited for senders that are about to write to it: otherwise such a write
 * would come later and stay. No sender waits for this thread: after its step on the word a sender makes only system
 * calls that do not block, with all signals blocked. */
static void quiet_event(struct bo_thread *t)
{
    uint64_t count;
    bo_word_await_senders(&t->t.word);
    bo_raw3(SYS_read, t->event_fd, (long)&count, sizeof count);
}

/*
 * If an interrupt becomes due by a region's end, the owner does the work of a poster: it writes to the event
 * descriptor; if this is a signal handler that has interrupted a call, it makes that call end when the handler returns
 * (rule 5); and it makes the ticker check that an asynchronous region is left in time (rule 14).
 */
static void due_by_owner(struct bo_thread *t, uint64_t w, bool newly_due)
{
    if (w & BO_EVENT)
        bo_wake_ring(t);
    if (w & BO_IN)
        bo_wake_again(t, newly_due);
    else if (w & BO_ASYNC)
        bo_ticker_watch(t);
}

/* Whether a record is due for this sort of foreign call because its suppression has ended since the last check, so that
 * no later check is planned. The record is searched for again without the suppression, because it may be of a kind that
 * does not interrupt foreign code. */
static bool grace_ran_out(const struct bo_thread *t, struct bo_suppression *s)
{
    BO_HOOK(foreign_weighed);
    if (bo_now() < bo_load_relaxed(&s->until))
        return false;
    bo_store_seq(&s->seq, 0);
    return bo_pending_foreign(t, s);
}

static bool due_in_foreign(const struct bo_thread *t, struct bo_suppression *s)
{
    return bo_pending_foreign(t, s) || grace_ran_out(t, s);
}

/* The word that follows from the records. */
static uint64_t word_of_records(struct bo_thread *t, uint64_t w)
{
    uint64_t next = w & ~(BO_ALL_DUE | BO_PENDING);
    if (!bo_pending_record(t, false))
        return next;
    next |= BO_PENDING;
    if ((w & BO_DISABLED) || !bo_pending_record(t, true))
        return next;
    return next | BO_DUE | (due_in_foreign(t, &t->reported) ? BO_FOREIGN_DUE : 0) |
           (due_in_foreign(t, &t->silenced) ? BO_SILENT_DUE : 0);
}

/* Called when no record is due, in a forked child whose ticker does not watch the deadlines yet: sets the word due, so
 * that each point checks them (wake/ticker.h). */
static void be_watchful(struct bo_thread *t, uint64_t w)
{
    if (bo_unlikely(bo_ticker_is_awaited()) && !(w & (BO_DISABLED | BO_PENDING)))
        bo_word_set(&t->t.word, BO_ALL_DUE, BO_BY_WATCHFUL);
}

static bool is_suppressed_in_foreign(uint64_t w)
{
    return (w & BO_DUE) && (~w & (BO_FOREIGN_DUE | BO_SILENT_DUE));
}

/* Whether the word, as it follows from the records, becomes due only when a grace period or a budget ends. */
static bool waits_for_ticker(uint64_t w)
{
    return is_suppressed_in_foreign(w) || ((w & BO_PENDING) && !(w & BO_DUE) && (!(w & BO_DISABLED) || (w & BO_TIMED)));
}

static void ask_ticker(struct bo_thread *t, uint64_t w)
{
    BO_HOOK(look_is_due);
    if (is_suppressed_in_foreign(w))
        bo_foreign_look_in_time(t);
    else
        bo_ticker_look(&t->t);
}

/*
 * The new word is computed from the records first, and stored only if nothing was posted since the word was loaded. So
 * a signal handler that interrupts this function finds the word due until then, and a post that has found the word due
 * already is not missed.
 *
 * If this is a signal handler that has interrupted a call, NOTE makes that call take the slow path at its end, where
 * `recomputed_on_top` is reset: it must not count for a later call.
 *
 * All signals are blocked between the step and the request to the ticker: a jump out of a handler would lose it.
 */
void bo_level_recompute(struct bo_thread *t)
{
    uint64_t w = bo_load_seq(&t->t.word), next, mask = 0;
    bool off = false;
    do {
        BO_HOOK(settling);
        if (w & BO_EVENT)
            quiet_event(t);
        next = word_of_records(t, w) | (w & BO_IN ? BO_NOTE : 0);
        BO_HOOK(settled);
        if (waits_for_ticker(next) && !off)
            mask = bo_signals_off(), off = true;
    } while (!bo_word_step(&t->t.word, &w, next, BO_BY_RECORDS));
    t->call.recomputed_on_top |= (next & BO_IN) != 0;
    if (waits_for_ticker(next))
        ask_ticker(t, next);
    if (off)
        bo_signals_on(mask);
    if (next & BO_DUE)
        due_by_owner(t, next, !(w & BO_DUE));
    else
        be_watchful(t, next);
}

/* The step that enables interrupts makes the pending ones due; later code checks whether they concern this thread. */
static uint64_t at_level(const struct bo_thread *t, uint64_t w)
{
    const uint64_t all = BO_DISABLED | BO_TIMED | BO_ASYNC | BO_CLOSABLE;
    uint64_t next = w & ~(t->open.critical ? all : all | BO_OVERRUN);
    next |= level_bits(t, next & BO_OVERRUN);
    if (next & BO_DISABLED)
        return next & ~BO_ALL_DUE;
    return (w & BO_DISABLED) && (w & BO_PENDING) ? next | BO_ALL_DUE : next;
}

/* From this step on the ticker watches the budget that starts for a pending interrupt: so a call that a signal handler
 * makes directly after the step ends with the budget. Returns the old word; *next is the new word. */
static uint64_t set_level(struct bo_thread *t, uint64_t *next)
{
    uint64_t w = bo_load_seq(&t->t.word), mask = 0;
    bool off = false;
    do {
        if ((w & BO_PENDING) && t->open.critical && !off)
            mask = bo_signals_off(), off = true;
        *next = at_level(t, w);
    } while (!bo_word_step(&t->t.word, &w, *next, BO_BY_LEVEL));
    if ((w & BO_PENDING) && (*next & BO_TIMED))
        bo_ticker_look(&t->t);
    if (off)
        bo_signals_on(mask);
    return w;
}

void bo_level_set(struct bo_thread *t)
{
    uint64_t next, w = set_level(t, &next);
    /* A wake for the region that ends here must not reach code after it (rule 13). */
    const uint64_t open = BO_ASYNC | BO_CLOSABLE;
    BO_HOOK(region_left);
    if ((w & open & ~next) && !(w & BO_IN) && (bo_load_seq(&t->t.word) & BO_UNDER_WAY))
        bo_wake_send_drain(t);
    if ((w & BO_PENDING) && !(next & BO_DISABLED))
        bo_level_recompute(t);
}

void bo_level_catch_up(void)
{
    int saved = errno;
    if (bo_unlikely(bo_ticker_is_awaited()) && !bo_frames_in_handler_now())
        bo_ticker_need();
    errno = saved;
}

/* ---- a new child ----------------------------------------------------------------------------------- */

void bo_level_reset(struct bo_thread *t, bool disabled, bool foreign)
{
    t->open.critical = t->open.allow = t->open.async = t->open.cleanup = t->open.closable = 0;
    t->regions = NULL;
    t->async = NULL;
    t->incident.handling = NULL;
    t->incident.handled_seq = 0;
    t->incident.jumped = false;
    t->closers = NULL;
    bo_store_relaxed(&t->incident.handlers, 0);
    bo_store_relaxed(&t->incident.finals, 0);
    bo_store_relaxed(&t->resumed.seq, 0);
    bo_store_relaxed(&t->incident.delivered_rung, 0);
    bo_store_relaxed(&t->shield.rung, 0);
    bo_store_relaxed(&t->freeze.state, 0);
    bo_store_relaxed(&t->t.ladder.set, 0);
    bo_store_relaxed(&t->join.branch, BO_NONE);
    bo_store_relaxed(&t->freeze.closing, 0);
    t->call.libc_wait = NULL;
    t->disabled = disabled;
    t->open.foreign = t->call.foreign_from_start = foreign;
    t->ways = (struct bo_foreign_ways){0};
    bo_store_relaxed(&t->t.paced, 0);
    bo_store_relaxed(&t->reported.seq, 0);
    bo_store_relaxed(&t->silenced.seq, 0);
    bo_store_relaxed(&t->outcome.at, 0);
    bo_store_relaxed(&t->join.thread, 0);
    bo_store_relaxed(&t->call.foreign, 0);
    t->call.last_was_cut = 0;
    bo_store_relaxed(&t->depth, 0);
    bo_store_relaxed(&t->section.pause_seq, 0);
    bo_store_relaxed(&t->shield.seq, 0);
    bo_store_relaxed(&t->incident.delivered_seq, 0);
    bo_store_relaxed(&t->t.wakes_sent, 0);
    bo_store_relaxed(&t->t.silence_reported, 0);
    bo_store_relaxed(&t->t.blocks_wake, 0);
}

/* ---- the record that a point fails for --------------------------------------------------------------------------- */

void bo_level_record_delivery(struct bo_thread *t, struct bo_record *r)
{
    uint64_t seq = bo_pending_seq(t);
    uint8_t rung = bo_load_relaxed(&r->rung);
    if (seq <= bo_load_relaxed(&t->incident.delivered_seq) && rung <= bo_load_relaxed(&t->incident.delivered_rung))
        return;
    bo_trace_delivery(bo_load_relaxed(&r->target), bo_load_relaxed(&r->kind),
                      bo_record_serial(bo_load_relaxed(&r->state)), rung);
    bo_store_relaxed(&t->incident.delivered_seq, seq);
    bo_store_relaxed(&t->incident.delivered_rung, rung);
    bo_store_relaxed(&t->incident.delivered_at, bo_now());
    if (rung > bo_load_relaxed(&r->delivered_rung))
        bo_store_relaxed(&r->delivered_rung, rung);
}

enum bo_point bo_level_verdict(struct bo_thread *t, struct bo_record *r)
{
    bool climbs = bo_load_relaxed(&r->rung) > 1 || bo_load_relaxed(&t->freeze.state);
    if (bo_likely(!climbs))
        return BO_POINT_FAILS;
    bo_record_deliver(r);
    bo_level_record_delivery(t, r);
    return bo_ladder_verdict(t, r);
}

struct bo_record *bo_level_deliver(struct bo_thread *t)
{
    struct bo_record *r = bo_pending_record(t, true);
    if (!r || (bo_load_seq(&t->t.word) & BO_DISABLED)) {
        bo_level_catch_up();
        bo_level_recompute(t);
        return NULL;
    }
    bo_record_deliver(r);
    bo_level_record_delivery(t, r);
    if (bo_level_verdict(t, r) == BO_POINT_PASSES) {
        bo_level_recompute(t);
        return NULL;
    }
    t->call.last_was_cut = 1;
    return r;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

enum bough_level bough_level(void)
{
    const struct bo_thread *t = bo_self;
    uint64_t w = t ? bo_load_seq(&t->t.word) : 0;
    if (w & BO_DISABLED)
        return BOUGH_DISABLED;
    return w & BO_ASYNC ? BOUGH_ASYNCHRONOUS : BOUGH_DEFERRED;
}
