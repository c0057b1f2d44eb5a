/* SPDX-License-Identifier: MIT */
#include "core/foreign.h"
#include <bough/interpose.h>
#include <errno.h>
#include <sys/syscall.h>
#include "base/raw.h"
#include "core/call.h"
#include "core/level.h"
#include "core/post.h"
#include "core/region.h"
#include "core/ticker.h"
#include "core/tree.h"

void (*_Atomic bo_foreign_refresh)(void);

/* ---- delivery (rule 22) ------------------------------------------------------------------------------ */

/* What has been posted up to here, at this rung or below, does not count in foreign code until the grace is over. The
 * number is taken before the record is looked for: one that comes in between still gets in. */
static void leave_alone(struct bo_thread *t, struct bough_record *why)
{
    uint64_t seq = bo_pending_foreign_seq(t);
    struct bo_record *r = bo_pending_foreign(t);
    if (!r)
        return; /* cleared in the very last moment: the call has been given up all the same */
    bo_record_describe(r, why);
    int64_t grace = t->ways.grace ? t->ways.grace : BOUGH_DEFAULT_GRACE, until = bo_add_time(bo_now(), grace);
    bo_store_relaxed(&t->foreign_until, until);
    bo_store_relaxed(&t->foreign_rung, bo_load_relaxed(&r->rung));
    bo_store_seq(&t->foreign_seq, seq);
    bo_store_relaxed(&r->grace_until, until);
    bo_record_deliver(r);
    bo_level_note(t, r);
}

/* Runs outside of the call: what it calls of bough's own fails as ever. */
static int tell(struct bo_thread *t, const char *name, const struct bough_record *why)
{
    bough_cut_fn *fn = (bough_cut_fn *)t->ways.on_cut;
    int error = t->ways.error ? t->ways.error : ECANCELED;
    int chosen = fn ? fn(t->ways.argument, name, error, why) : 0;
    return chosen ? chosen : error;
}

int bo_foreign_deliver(struct bo_thread *t, const char *name)
{
    struct bough_record why = {.kind = BOUGH_KINDS};
    leave_alone(t, &why);
    t->last_was_cut = 1;
    bo_level_settle(t);
    return tell(t, name, why.kind < BOUGH_KINDS ? &why : NULL);
}

void bo_foreign_ignore(struct bo_thread *t)
{
    bo_level_settle(t);
}

void bo_foreign_abandon(struct bo_thread *t)
{
    if (bo_foreign_calls(t))
        bo_foreign_leave(t);
    bo_store_relaxed(&t->foreign, BO_NOT_FOREIGN);
}

/* On another stack (a handler's own, a coroutine's) nothing can be told. */
bool bo_foreign_sweep(struct bo_thread *t, uintptr_t frame)
{
    uintptr_t left = t->foreign_frame;
    if (!bo_foreign_calls(t) || left > frame || left < t->stack_low || frame >= t->stack_high)
        return false;
    bo_call_abandon(t);
    return true;
}

int64_t bo_foreign_look(struct bo_thread *t, uint64_t w)
{
    int64_t until = bo_load_relaxed(&t->foreign_until);
    if (bo_now() < until)
        return bo_to_monotonic(until);
    bo_wake(t, bo_word_generation(w));
    return BO_FOREVER;
}

bool bo_foreign_borrowed(void)
{
    return bo_raw0(SYS_getpid) != bo_load_relaxed(&bo_pid);
}

/* ---- taking part -------------------------------------------------------------------------------------- */

int bough_foreign_begin(struct bough_region *region, const char *file, int line)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, 0, (uintptr_t)__builtin_frame_address(0));
    if (!t || bo_ticker_need() != 0)
        return -1;
    bo_region_push(t, region, BO_FOREIGN_REGION, file, line);
    t->foreign_depth++;
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
    if ((ways ? ways->kinds : 0) != t->ways.kinds)
        bo_store_seq(&t->foreign_seq, 0); /* its number says nothing about kinds that were not told */
    t->ways = ways ? (struct bo_foreign_ways){.error = ways->error,
                                              .kinds = ways->kinds,
                                              .grace = ways->grace,
                                              .on_cut = (void (*)(void))ways->on_cut,
                                              .argument = ways->argument}
                   : (struct bo_foreign_ways){0};
    bo_level_settle(t); /* what is pending may be of a kind that counts from now on */
    return 0;
}

int bough_foreign_again(void)
{
    struct bo_thread *t = bo_self;
    if (!t)
        return 0;
    bool told = bo_load_relaxed(&t->foreign_seq) != 0;
    bo_store_seq(&t->foreign_seq, 0);
    bo_level_settle(t);
    return told && (bo_load_seq(&t->t.word) & BO_FOREIGN_DUE);
}

int bough_foreign(void)
{
    return bo_self && bo_self->foreign_depth != 0;
}
