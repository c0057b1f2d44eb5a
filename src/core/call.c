/* SPDX-License-Identifier: MIT */
#include "core/call.h"
#include <bough/call.h>
#include <linux/futex.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "core/deliver.h"
#include "core/foreign.h"
#include "core/level.h"
#include "core/self.h"
#include "core/ticker.h"
#include "core/tree.h"

/* ---- system calls ------------------------------------------------------------------------------------ */

/* A nested call leaves: the call below may have to end too, and its wake has been used up here (rule 5). */
static void leave_nested(struct bo_thread *t)
{
    if (bo_load_seq(&t->t.word) & BO_DUE)
        bo_deliver_again(t);
}

void bo_call_settle(struct bo_thread *t, bool nested)
{
    if (nested)
        leave_nested(t);
    else
        bo_deliver_settle(t);
}

void bo_call_abandon(struct bo_thread *t)
{
    t->libc_wait = NULL;
    bo_foreign_abandon(t);
    bo_busy = 0; /* what those calls were in */
    bo_signal_fence();
    bo_and_seq(&t->t.word, ~(uint64_t)(BO_IN | BO_REPEAT));
    if (bo_load_seq(&t->t.word) & BO_UNDER_WAY)
        bo_deliver_settle(t);
}

static struct bo_record *pending(const struct bo_thread *t)
{
    if (bo_load_seq(&t->t.word) & BO_MASKED)
        return NULL;
    return bo_foreign_calls(t) ? bo_foreign_pending(t) : bo_pending_record(t, true);
}

/* Handlers of the ladder run here, as bough's code. */
static bool fails_for(struct bo_thread *t, struct bo_record *r)
{
    if (!bo_foreign_calls(t))
        return !bo_level_let_go(t, r);
    enum bo_foreign_step step = bo_foreign_aside(t);
    bool let_go = bo_level_let_go(t, r);
    bo_foreign_step(t, step);
    return !let_go;
}

/* Is there an interrupt to fail for? If not, the word is put right: it was cleared meanwhile, or a cleanup runs. That
 * it was delivered is noted where the call fails, for a completed effect may still win (rule 9). */
static bool due(struct bo_thread *t)
{
    if (!(bo_load_seq(&t->t.word) & bo_foreign_due_bit(t)))
        return false;
    bo_level_sweep(t, (uintptr_t)__builtin_frame_address(0));
    struct bo_record *r = pending(t);
    if (r && fails_for(t, r))
        return true;
    bo_ticker_catch_up();
    bo_level_settle(t);
    return false;
}

/* A wake for nothing has changed nothing: the call begins again. EINTR from a handler of the program is the program's,
 * unless an interrupt is due as well. */
BO_COLD long bo_call_cut(struct bo_thread *t, long result, long nr, long a, long b, long c, long d, long e, long f)
{
    if (bo_foreign_calls(t) && bo_foreign_borrowed())
        return bo_raw6(nr, a, b, c, d, e, f); /* what is due is the parent's */
    if (due(t))
        return -BO_ECUT;
    return result == -EINTR ? result : bo_call(nr, a, b, c, d, e, f);
}

BO_COLD long bo_call_stranger(long nr, long a, long b, long c, long d, long e, long f)
{
    if (!bo_adopt(NULL))
        return bo_raw6(nr, a, b, c, d, e, f); /* the table is full: it works, it can't be interrupted */
    return bo_call(nr, a, b, c, d, e, f);
}

/* ---- results ----------------------------------------------------------------------------------------- */

/* The one place where an interrupted call fails: now the record is delivered. If it was cleared in the very last
 * moment, the call has been given up all the same. */
BO_COLD static int noted(int error)
{
    struct bo_thread *t = bo_self;
    if (t && bo_foreign_calls(t)) {
        t->foreign_cut |= error == BO_ECUT; /* delivered by who has made the call, core/foreign.h */
    } else if (t) {
        if (error == BO_ECUT)
            bo_level_meet(t);
        t->last_was_cut = error == BO_ECUT;
    }
    return error == BO_ECUT ? ECANCELED : error;
}

BO_COLD long bo_failed(long raw)
{
    errno = noted((int)-raw);
    return -1;
}

int bo_error(int error)
{
    return error ? noted(error) : 0;
}

int bo_point(void)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (t && bo_foreign_calls(t))
        return due(t) ? BO_ECUT : 0;
    return bough_check() != 0 ? BO_ECUT : 0;
}

/* ---- waits inside libc ------------------------------------------------------------------------------- */

static const struct timespec far_away = {INT64_C(1) << 33, 0}, past = {0, 0};

int bo_libc_begin(struct bo_libc_wait *wait, const struct timespec *deadline)
{
    *wait = (struct bo_libc_wait){.until = deadline ? *deadline : far_away};
    struct bo_thread *t = bo_self_or_adopt();
    if (!t || bo_ticker_need() != 0)
        return 0;
    if (bo_point() != 0)
        return BO_ECUT;
    wait->in = true;
    bo_store_relaxed(&t->asks, 0);
    wait->outer = t->libc_wait;
    bo_signal_fence(); /* the wake's handler follows the list from t->libc_wait */
    t->libc_wait = wait;
    bo_signal_fence();
    wait->below = bo_or_seq(&t->t.word, BO_IN | BO_REPEAT);
    /* Posted before we were in: no signal comes for it. */
    if (bo_load_seq(&t->t.word) & bo_foreign_due_bit(t))
        wait->until = past;
    BO_HOOK(libc_entered);
    return 0;
}

bool bo_libc_end(struct bo_libc_wait *wait)
{
    struct bo_thread *t = bo_self;
    if (!wait->in)
        return false;
    t->libc_wait = wait->outer;
    bo_signal_fence();
    bo_and_seq(&t->t.word, ~((BO_IN | BO_REPEAT) & ~wait->below));
    bool nested = wait->below & BO_IN;
    if (nested || (bo_load_seq(&t->t.word) & BO_UNDER_WAY))
        bo_call_settle(t, nested);
    return due(t);
}

/* ---- futex ------------------------------------------------------------------------------------------- */

long bo_futex_wait(const void *word, uint32_t expected, int64_t deadline)
{
    for (;;) {
        struct timespec at = bo_timespec(bo_to_monotonic(deadline));
        long r = BO_CALL(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline == BO_FOREVER ? NULL : &at, 0,
                         FUTEX_BITSET_MATCH_ANY);
        /* The library's clock stood still meanwhile: there is time left (rule 33). */
        if (r != -ETIMEDOUT || bo_now() >= deadline)
            return r;
    }
}
