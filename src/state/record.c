/* SPDX-License-Identifier: MIT */
#include "state/record.h"
#include <string.h>
#include <sys/syscall.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/plain.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "trace/recorder.h"
#include "upcalls.h"

struct bo_record *bo_record_of(const struct bo_target *target, enum bough_kind kind)
{
    const char *p = (const char *)target;
    bool branch = p >= (const char *)bo_arena.branch && p < (const char *)bo_arena.record;
    size_t slot = (branch ? BO_THREADS : 0) + target->index;
    return &bo_arena.record[slot * BO_KIND_COUNT + (size_t)kind];
}

static uint64_t state_make(uint64_t generation, uint32_t serial, enum bo_record_status status)
{
    return generation << 32 | (uint32_t)(serial << 4 | (uint32_t)status);
}

static uint64_t event_now(uint64_t count)
{
    return (uint64_t)(bo_now() / BO_MS(1)) << 8 | count;
}

bool bo_record_is_event(const struct bo_record *r)
{
    return (int64_t)((event_now(0) >> 8) - (bo_load_seq(&r->events) >> 8)) >= BO_ONE_EVENT;
}

bool bo_record_event(struct bo_record *r)
{
    uint64_t was = bo_load_seq(&r->events), next;
    do {
        unsigned count = was & 0xff;
        next = event_now(count < 0xff ? count + 1 : count);
        if ((int64_t)((next >> 8) - (was >> 8)) < BO_ONE_EVENT)
            return false;
    } while (!bo_cas_seq(&r->events, &was, next));
    return true;
}

static void fill(struct bo_record *r, uint64_t target, uint32_t serial, const struct bough_event *event, int limit)
{
    bo_store_relaxed(&r->target, target);
    bo_store_relaxed(&r->seq, bo_add_seq(&bo_arena.head->seq, 1) + 1);
    bo_store_relaxed(&r->since, bo_now());
    r->value = event->value;
    r->signo = event->signo;
    r->source = bo_tid();
    bo_store_relaxed(&r->rung, 1);
    bo_store_relaxed(&r->asked, (uint8_t)event->rung);
    bo_store_relaxed(&r->delivered_rung, 0);
    bo_store_relaxed(&r->grace_until, 0);
    bo_store_relaxed(&r->ceiling, 0);
    bo_store_relaxed(&r->limit, (uint8_t)limit);
    bo_store_relaxed(&r->limit_met, (uint8_t)limit);
    bo_store_relaxed(&r->overdue, 0);
    bo_store_relaxed(&r->handler_events, serial << 4);
    bo_store_relaxed(&r->watched, 0);
    bo_store_relaxed(&r->hold_until, 0);
    bo_store_relaxed(&r->climbed, 1);
    bo_store_relaxed(&r->rung_at, bo_load_relaxed(&r->since));
    bo_store_relaxed(&r->rung_until, 0);
    bo_store_relaxed(&r->cap_at, 0);
    bo_store_seq(&r->events, event_now(1));
    bo_store_relaxed(&r->kind, (uint8_t)event->kind);
    size_t length = event->reason ? bo_cut(event->reason, BOUGH_REASON_MAX) : 0;
    if (length)
        memcpy(r->reason, event->reason, length);
    r->reason[length] = '\0';
}

enum { SERIALS = 0xfffffff };
#define SEALED (UINT64_C(8) << 32)

static uint64_t tally_of(uint32_t serial, uint32_t flags, uint32_t count)
{
    return (uint64_t)serial << 36 | (uint64_t)flags << 32 | count;
}

/* A repeated post can make a record final, and widen it to the subtree, but never undo either. */
static uint32_t merged(uint32_t flags, uint32_t more)
{
    return ((flags | more) & BOUGH_FINAL) | (flags & more & BOUGH_ALONE);
}

enum counted { COUNTED, COUNTED_AND_WIDENED, IS_OVER };

/* The first post and a repeated one may arrive here in any order. Since the repeated post examined the record, it may
 * also have been sealed, or closed and written again: then that post is not counted. */
static enum counted count_post(struct bo_record *r, uint32_t serial, uint32_t flags)
{
    uint64_t was = bo_load_seq(&r->tally), now;
    do {
        uint32_t age = (serial - (uint32_t)(was >> 36)) & SERIALS;
        if (age > SERIALS / 2 || (!age && (was & SEALED)))
            return IS_OVER;
        now = age ? tally_of(serial, merged(flags, flags), 1)
                  : tally_of(serial, merged((uint32_t)(was >> 32), flags), (uint32_t)was + 1);
    } while (!bo_cas_seq(&r->tally, &was, now));
    bool widened = (was & ~now) >> 32 & BOUGH_ALONE && was >> 36 == serial;
    return widened ? COUNTED_AND_WIDENED : COUNTED;
}

static void raise_rung(_Atomic uint8_t *highest, int rung)
{
    uint8_t was = bo_load_relaxed(highest);
    while (rung > was && !bo_cas_seq(highest, &was, (uint8_t)rung))
        ;
}

/* Counts a further event of a known incident. If the record was closed and written again meanwhile, the new record may
 * count it as its second event: it was posted to the same target at the same moment. */
static void post_again(struct bo_record *r, const struct bough_event *event, int limit)
{
    raise_rung(&r->asked, event->rung);
    raise_rung(&r->limit, limit);
    bo_record_event(r);
}

uint32_t bo_record_post(struct bo_record *r, uint64_t target, uint32_t generation, const struct bough_event *event,
                        int limit, enum bo_posting *how)
{
    uint64_t state = bo_load_seq(&r->state);
    for (;;) {
        /* Otherwise the state is of an earlier generation, at whose end the record was closed; or the record was never
         * written. */
        bool mine = state >> 32 == generation;
        if (mine && bo_record_status(state) != BO_EMPTY) {
            BO_HOOK(post_repeats);
            enum counted counted = count_post(r, bo_record_serial(state), event->flags);
            if (counted == IS_OVER) {
                bo_record_close_post(r, state, BOUGH_POST_CLEARED);
                state = bo_load_seq(&r->state);
                continue;
            }
            if (bo_record_status(state) != BO_WRITING)
                post_again(r, event, limit);
            *how = counted == COUNTED_AND_WIDENED ? BO_WIDENED : BO_REPEATED;
            return bo_record_serial(state);
        }
        uint32_t serial = (bo_record_serial(state) + (mine && bo_record_serial(state) ? 0 : 1)) & SERIALS;
        if (bo_cas_seq(&r->state, &state, state_make(generation, serial, BO_WRITING))) {
            fill(r, target, serial, event, limit);
            count_post(r, serial, event->flags);
            BO_HOOK(post_recorded);
            *how = BO_POSTED;
            state = state_make(generation, serial, BO_RECORD_PENDING);
            bo_trace_post(target, event->kind, serial, event->rung, r->reason);
            /* The place among the reports is taken before the target can see the record: so the record's delivery
             * and end are reported later. */
            void *report = bo_ladder_changes(r, state, BOUGH_POST_PENDING);
            bo_store_seq(&r->state, state);
            bo_ladder_changed(report, true);
            return serial;
        }
    }
}

void bo_record_make_final(struct bo_record *r)
{
    uint32_t serial = bo_record_serial(bo_load_seq(&r->state));
    uint64_t was = bo_load_seq(&r->tally);
    while (was >> 36 == serial && !(was & SEALED) && !bo_cas_seq(&r->tally, &was, was | (uint64_t)BOUGH_FINAL << 32))
        ;
}

/* False: the record is final. True also if another post has the record by now. */
static bool seal_tally(struct bo_record *r, uint32_t serial)
{
    uint64_t was = bo_load_seq(&r->tally);
    do {
        if (was >> 36 != serial)
            return true;
        if (was >> 32 & BOUGH_FINAL)
            return false;
    } while (!bo_cas_seq(&r->tally, &was, was | SEALED));
    return true;
}

/* The record of another target may be closed and rewritten meanwhile: so readers compare the state before and after. */
__attribute__((no_sanitize("thread"))) void bo_record_describe(const struct bo_record *r, struct bough_record *record)
{
    *record = (struct bough_record){
        .kind = (enum bough_kind)bo_load_relaxed(&r->kind),
        .flags = bo_record_flags(r),
        .count = bo_record_count(r),
        .signo = r->signo,
        .rung = bo_load_relaxed(&r->rung),
        .value = r->value,
        .since = bo_load_relaxed(&r->since),
        .source = r->source,
        .target = (bough_target)(uintptr_t)bo_load_relaxed(&r->target),
    };
    BO_HOOK(record_half);
    for (size_t i = 0; i < sizeof record->reason; i++)
        record->reason[i] = ((const volatile char *)r->reason)[i];
}

static bool is_standing(uint64_t state)
{
    return bo_record_status(state) == BO_RECORD_PENDING || bo_record_status(state) == BO_DELIVERED;
}

bool bo_record_stands(const struct bo_record *r)
{
    return is_standing(bo_load_seq(&r->state));
}

/* The lower 4 bits are the status. */
bool bo_record_is_of(const struct bo_record *r, uint64_t state)
{
    uint64_t now = bo_load_seq(&r->state);
    return is_standing(now) && (now ^ state) >> 4 == 0;
}

/* The report's place is taken before another thread can see the change: so reports are in the order of the changes.
 * False: another thread has changed the record first, and *state is the new one. */
static bool change(struct bo_record *r, uint64_t *state, uint64_t next, enum bough_post_status status)
{
    void *report = bo_ladder_changes(r, *state, status);
    BO_HOOK(record_changes);
    bool done = bo_cas_seq(&r->state, state, next);
    BO_HOOK(record_changed);
    bo_ladder_changed(report, done);
    return done;
}

void bo_record_deliver(struct bo_record *r)
{
    uint64_t state = bo_load_seq(&r->state);
    BO_HOOK(deliver_begins);
    bo_busy_begin(); /* no freeze here: later reports would wait for this one */
    while (bo_record_status(state) == BO_RECORD_PENDING)
        if (change(r, &state, state + (BO_DELIVERED - BO_RECORD_PENDING), BOUGH_POST_DELIVERED))
            break;
    bo_busy_end();
}

/* `last` is written before the record can be posted again. If two threads close the record, both write the same. */
static bool end_serial(struct bo_record *r, uint64_t state, enum bough_post_status how)
{
    uint32_t last = bo_load_seq(&r->last); /* before the check: `last` of a later post is not overwritten */
    uint32_t serial = bo_record_serial(state);
    if (!bo_record_is_of(r, state))
        return false;
    bo_trace_close(bo_load_relaxed(&r->target), bo_load_relaxed(&r->kind), serial, how);
    do {
        if (!is_standing(state) || bo_record_serial(state) != serial)
            return false;
        bo_cas_seq(&r->last, &last, serial << 4 | (uint32_t)how);
    } while (!change(r, &state, state_make(state >> 32, (serial + 1) & SERIALS, BO_EMPTY), how));
    return true;
}

bool bo_record_close(struct bo_record *r, enum bough_post_status how)
{
    return bo_record_close_post(r, bo_load_seq(&r->state), how);
}

bool bo_record_close_post(struct bo_record *r, uint64_t state, enum bough_post_status how)
{
    bo_busy_begin(); /* no freeze here: the waiters would not be woken, and later reports would wait for this one */
    bool done = end_serial(r, state, how);
    if (done && bo_load_seq(&r->waiters))
        bo_futex_wake(bo_low_half(&r->state), INT_MAX);
    if (done && bo_load_seq(&r->watched))
        bo_ladder_closed(r);
    bo_busy_end();
    return done;
}

enum bo_clearing bo_record_clear(struct bo_record *r, uint64_t state)
{
    BO_HOOK(clear_begins);
    if (!bo_record_is_of(r, state))
        return BO_ENDED_BEFORE;
    if (!seal_tally(r, bo_record_serial(state)))
        return BO_KEPT_FINAL;
    BO_HOOK(record_sealed);
    return bo_record_close_post(r, state, BOUGH_POST_CLEARED) ? BO_CLEARED : BO_ENDED_BEFORE;
}

void bo_records_forget(const struct bo_target *t)
{
    for (int kind = 0; kind < BO_KIND_COUNT; kind++) {
        struct bo_record *r = bo_record_of(t, (enum bough_kind)kind);
        uint64_t state = bo_load_seq(&r->state);
        if (bo_record_status(state) == BO_WRITING)
            bo_store_seq(&r->state, state + (BO_RECORD_PENDING - BO_WRITING));
        bo_record_close(r, BOUGH_POST_ENDED);
    }
}
