/* SPDX-License-Identifier: MIT */
/* Regions that delay interrupts for a limited time: critical sections, by their budget, and cleanup regions, by their
 * grace period. */
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/tree.h"
#include "thread/level.h"
#include "thread/region.h"

/* ---- the clock of critical sections ------------------------------------------------------------------- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Starts the sum of pauses for a new incident. */
static void open_account(struct bo_thread *t, uint64_t seq)
{
    if (bo_load_relaxed(&t->section.pause_seq) == seq)
        return;
    bo_store_relaxed(&t->section.pause_seq, seq);
    bo_store_relaxed(&t->section.pause_used, 0);
    bo_store_relaxed(&t->section.pause_min, BO_FOREVER);
}

static void charge(struct bo_thread *t)
{
    struct bo_record *r = bo_pending_record(t, false);
    if (!r)
        return;
    open_account(t, bo_pending_seq(t));
    int64_t since = bo_load_relaxed(&r->since), entry = bo_load_relaxed(&t->section.entry);
    int64_t used = bo_now() - (since > entry ? since : entry);
    bo_store_relaxed(&t->section.pause_used, bo_load_relaxed(&t->section.pause_used) + (used > 0 ? used : 0));
    bo_store_relaxed(&t->section.pause_min,
                     smaller(bo_load_relaxed(&t->section.pause_min), bo_load_relaxed(&t->section.budget)));
}

/* How long a section with this budget may still delay the pending interrupt. */
static int64_t allowance(const struct bo_thread *t, uint64_t seq, int64_t budget)
{
    if (bo_load_relaxed(&t->section.pause_seq) != seq)
        return budget;
    return smaller(budget, bo_load_relaxed(&t->section.pause_min)) - bo_load_relaxed(&t->section.pause_used);
}

int64_t bo_level_budget_end(const struct bo_thread *t)
{
    uint32_t serial = bo_load_acquire(&t->level_serial);
    /* These loads are acquires: if they see a value stored after bo_level_changing(), they also see its serial. */
    int64_t entry = bo_load_acquire(&t->section.entry), budget = bo_load_acquire(&t->section.budget);
    struct bo_record *r = bo_pending_record(t, false);
    if (!r)
        return BO_FOREVER;
    int64_t since = bo_load_relaxed(&r->since);
    int64_t end = bo_add_time(since > entry ? since : entry, allowance(t, bo_pending_seq(t), budget));
    bool torn = (serial & 1) || bo_load_relaxed(&t->level_serial) != serial;
    return torn ? bo_now() + BO_MS(1) : end;
}

/* While the owner is between bo_level_changing() and bo_level_changed(), the ticker retries later. Fields that it must
 * not see half changed are stored with release, and so after the serial. */
void bo_level_changing(struct bo_thread *t)
{
    bo_store_relaxed(&t->level_serial, bo_load_relaxed(&t->level_serial) + 1);
}

void bo_level_changed(struct bo_thread *t)
{
    bo_store_release(&t->level_serial, bo_load_relaxed(&t->level_serial) + 1);
}

static void count_section(struct bo_thread *t)
{
    uint64_t w = bo_load_relaxed(&t->t.word);
    while (!bo_word_step(&t->t.word, &w, bo_word_changed(w), BO_BY_SECTION))
        ;
}

void bo_section_enter(struct bo_thread *t, struct bough_region *region, int64_t budget)
{
    bo_level_changing(t);
    region->saved[0] = (uint64_t)bo_load_relaxed(&t->section.budget);
    if (t->open.critical++ == 0) {
        bo_store_release(&t->section.entry, bo_now());
        bo_store_release(&t->section.budget, budget);
        count_section(t);
        if ((bo_load_seq(&t->t.word) & BO_PENDING) && allowance(t, bo_pending_seq(t), budget) <= 0)
            bo_word_set(&t->t.word, BO_OVERRUN, BO_BY_NO_BUDGET); /* the incident was delayed for its whole budget */
    } else {
        bo_store_release(&t->section.budget, smaller(budget, bo_load_relaxed(&t->section.budget)));
    }
    bo_level_changed(t);
}

/* A section in a thread that is disabled anyway has delayed no interrupt. If no interrupt was pending in an inner
 * section, the budget of the outer section applies again. */
void bo_section_leave(struct bo_thread *t, const struct bough_region *region)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (t->open.critical == 1 && (w & BO_PENDING) && (w & (BO_TIMED | BO_OVERRUN)))
        charge(t);
    bo_level_changing(t);
    if (--t->open.critical && !(w & BO_PENDING))
        bo_store_release(&t->section.budget, (int64_t)region->saved[0]);
    bo_level_changed(t);
}

/* ---- cleanup regions ----------------------------------------------------------------------------------- */

void bo_cleanup_enter(struct bo_thread *t, struct bough_region *region, int64_t grace)
{
    region->saved[0] = bo_load_relaxed(&t->shield.seq);
    region->saved[1] = (uint64_t)bo_load_relaxed(&t->shield.until);
    region->allowance = bo_load_relaxed(&t->shield.rung);
    t->open.cleanup++;
    uint64_t met = bo_load_relaxed(&t->incident.delivered_seq);
    if (!met || !(bo_load_seq(&t->t.word) & BO_PENDING))
        return;
    bo_suppress(&t->shield, met, bo_add_time(bo_load_relaxed(&t->incident.delivered_at), grace),
                bo_load_relaxed(&t->incident.delivered_rung));
}

void bo_cleanup_leave(struct bo_thread *t, const struct bough_region *region)
{
    t->open.cleanup--;
    bo_suppress(&t->shield, region->saved[0], (int64_t)region->saved[1], (uint8_t)region->allowance);
}
