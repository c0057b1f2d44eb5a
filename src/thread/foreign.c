/* SPDX-License-Identifier: MIT */
#include "thread/foreign.h"
#include <bough/interpose.h>
#include <errno.h>
#include <sys/syscall.h>
#include "arch/frame.h"
#include "base/raw.h"
#include "state/clock.h"
#include "state/tree.h"
#include "thread/call.h"
#include "thread/foreign_call.h"
#include "thread/level.h"
#include "thread/region.h"
#include "wake/frames.h"
#include "wake/ticker.h"

void (*_Atomic bo_foreign_refresh)(void);

/* ---- delivery (rule 22) ------------------------------------------------------------------------------ */

static int64_t grace_end(const struct bo_thread *t)
{
    return bo_add_time(bo_now(), t->ways.grace ? t->ways.grace : BOUGH_DEFAULT_GRACE);
}

void bo_foreign_deliver(struct bo_thread *t, struct bough_record *why)
{
    *why = (struct bough_record){.kind = BOUGH_KINDS};
    /* The number is read before the search for the record: so a record that is posted in between still interrupts. */
    uint64_t seq = bo_pending_foreign_seq(t);
    struct bo_record *r = bo_pending_foreign(t, &t->reported);
    if (r) {
        bo_record_describe(r, why);
        int64_t until = grace_end(t);
        uint8_t rung = bo_load_relaxed(&r->rung);
        bo_suppress(&t->reported, seq, until, rung);
        bo_suppress(&t->silenced, seq, until, rung);
        bo_store_relaxed(&r->grace_until, until);
        bo_record_deliver(r);
        bo_level_record_delivery(t, r);
    } /* else the record was cleared at the last moment: the call fails nevertheless */
    t->call.last_was_cut = 1;
    bo_level_recompute(t);
}

void bo_foreign_silence(struct bo_thread *t)
{
    uint64_t seq = bo_pending_foreign_seq(t);
    const struct bo_record *r = bo_pending_foreign(t, &t->silenced);
    if (r)
        bo_suppress(&t->silenced, seq, grace_end(t), bo_load_relaxed(&r->rung));
    bo_level_recompute(t);
}

void bo_foreign_take_back(struct bo_thread *t)
{
    bo_store_seq(&t->reported.seq, 0);
    bo_level_recompute(t);
}

void bo_foreign_ignore(struct bo_thread *t)
{
    bo_level_recompute(t);
}

/* ---- opting in -------------------------------------------------------------------------------------- */

int bough_foreign_begin(struct bough_region *region, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, 0, BO_FRAME());
    if (!t || bo_ticker_need() != 0)
        return -1;
    bo_region_push(t, region, BO_FOREIGN_REGION, file, line);
    t->open.foreign++;
    void (*refresh)(void) = bo_load_acquire(&bo_foreign_refresh);
    if (refresh)
        refresh();
    return 0;
}

int bough_foreign_set(const struct bough_foreign *ways)
{
    if (ways && (ways->error < 0 || ways->error > 4094 || ways->grace < 0 || ways->kinds >= 1u << BOUGH_KINDS))
        return errno = EINVAL, -1;
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return -1;
    if ((ways ? ways->kinds : 0) != t->ways.kinds) { /* the suppressions were made without the excluded kinds */
        bo_store_seq(&t->reported.seq, 0);
        bo_store_seq(&t->silenced.seq, 0);
    }
    t->ways = ways ? (struct bo_foreign_ways){.error = ways->error,
                                              .kinds = ways->kinds,
                                              .grace = ways->grace,
                                              .on_cut = (void (*)(void))ways->on_cut,
                                              .choose = (void (*)(void))ways->choose,
                                              .argument = ways->argument}
                   : (struct bo_foreign_ways){0};
    bo_store_relaxed(&t->t.paced, ways && ways->paced);
    bo_level_recompute(t); /* from now on a pending record of another kind may interrupt */
    return 0;
}

int bough_foreign_again(void)
{
    struct bo_thread *t = bo_self;
    if (!t)
        return 0;
    bool delivered = bo_load_relaxed(&t->reported.seq) != 0;
    bo_store_seq(&t->silenced.seq, 0);
    bo_foreign_take_back(t);
    return delivered && (bo_load_seq(&t->t.word) & BO_FOREIGN_DUE);
}

int bough_foreign_check(struct bough_record *why)
{
    struct bough_record unused;
    struct bo_thread *t = bo_foreign_thread();
    if (bo_likely(!t || !(bo_load_relaxed(&t->t.word) & BO_FOREIGN_DUE)))
        return 0;
    bo_foreign_enter(t, BO_FOREIGN_CALL);
    bool due = bo_point() != 0;
    bo_foreign_leave(t);
    if (!due)
        return 0;
    bo_foreign_deliver(t, why ? why : &unused);
    return errno = ECANCELED, -1;
}

int bough_foreign(void)
{
    return bo_self && bo_self->open.foreign != 0;
}
