/* SPDX-License-Identifier: MIT */
#include "core/call.h"
#include <bough/call.h>
#include <linux/futex.h>
#include "base/hook.h"
#include "base/raw.h"
#include "core/deliver.h"
#include "core/level.h"
#include "core/self.h"
#include "core/ticker.h"

/* ---- in and out -------------------------------------------------------------------------------------- */

/* Says "in a call", and whether it was so already: then this is a signal handler on top of one. */
static inline bool enter(struct bo_thread *t)
{
    bool nested = bo_or_seq(&t->t.word, BO_IN) & BO_IN; /* one bit of the result: a single instruction on x86 */
    if (!BO_ARCH_WINDOW) {
        bo_store_relaxed(&t->asks, 0);
        bo_or_seq(&t->t.word, BO_REPEAT);
    }
    return nested;
}

/* Nothing is sent after the first step, and what was sent before is waited for: the wake signal never
 * reaches what the thread does next (rule 13). */
static inline void leave(struct bo_thread *t, uint64_t bits)
{
    bo_and_seq(&t->t.word, ~bits);
    if (bo_unlikely(bo_load_seq(&t->t.word) & BO_SENT))
        bo_deliver_settle(t);
}

/* A nested call leaves: the call below may have to end too, and its wake has been used up here (rule 5). */
static void leave_nested(struct bo_thread *t)
{
    if (bo_load_seq(&t->t.word) & BO_DUE)
        bo_deliver_again(t);
}

/* ---- system calls ------------------------------------------------------------------------------------ */

/* The bits of a call through the window; without a window each wake is repeated. */
static const uint64_t call_bits = BO_ARCH_WINDOW ? BO_IN : BO_IN | BO_REPEAT;

static long once(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    bool nested = enter(t);
    BO_HOOK(call_entered);
    long r = bo_window(&t->t.word, nr, a, b, c, d, e, f);
    BO_HOOK(call_left);
    if (bo_unlikely(nested))
        leave_nested(t);
    else
        leave(t, call_bits);
    return r;
}

/* What ended the call? EINTR from our wake becomes ECANCELED; from a handler of the program it stays. A wake for
 * a record that is not admitted after all (its cleanup runs) starts the call again. */
static bool again(struct bo_thread *t, long *r)
{
    bool due = bo_load_seq(&t->t.word) & BO_DUE;
    if (*r == -EINTR && !due)
        return false;
    if (bo_level_meet(t)) {
        *r = -ECANCELED;
        return false;
    }
    return true;
}

long bo_call(long nr, long a, long b, long c, long d, long e, long f)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (bo_unlikely(!t))
        return bo_raw6(nr, a, b, c, d, e, f); /* the table is full: it works, it can't be interrupted */
    for (;;) {
        long r = once(t, nr, a, b, c, d, e, f);
        if (bo_likely(r != -EINTR && r != -ECANCELED) || !again(t, &r))
            return r;
    }
}

/* ---- results ----------------------------------------------------------------------------------------- */

static BO_COLD long failed(long raw)
{
    errno = (int)-raw;
    if (bo_self)
        bo_self->last_was_cut = raw == -ECANCELED;
    return -1;
}

long bo_result(long raw)
{
    return bo_unlikely((unsigned long)raw > -4096UL) ? failed(raw) : raw;
}

int bo_error(int error)
{
    if (error && bo_self)
        bo_self->last_was_cut = error == ECANCELED;
    return error;
}

/* ---- waits inside libc ------------------------------------------------------------------------------- */

static const struct timespec far_away = {INT64_C(1) << 33, 0}, past = {0, 0};

int bo_libc_begin(struct bo_libc_wait *wait, const struct timespec *deadline)
{
    *wait = (struct bo_libc_wait){.until = deadline ? *deadline : far_away};
    struct bo_thread *t = bo_self_or_adopt();
    if (!t || bo_ticker_need() != 0)
        return 0;
    if (bough_check() != 0)
        return ECANCELED;
    wait->in = true;
    bo_store_relaxed(&t->asks, 0);
    wait->outer = t->libc_wait;
    bo_signal_fence(); /* the wake's handler follows the list from t->libc_wait */
    t->libc_wait = wait;
    bo_signal_fence();
    wait->below = bo_or_seq(&t->t.word, BO_IN | BO_REPEAT);
    /* Posted before we were in: no signal comes for it. */
    if (bo_load_seq(&t->t.word) & BO_DUE)
        wait->until = past;
    BO_HOOK(libc_entered);
    return 0;
}

int bo_libc_end(struct bo_libc_wait *wait)
{
    struct bo_thread *t = bo_self;
    if (!wait->in)
        return 0;
    t->libc_wait = wait->outer;
    bo_signal_fence();
    leave(t, (BO_IN | BO_REPEAT) & ~wait->below);
    if (wait->below & BO_IN)
        leave_nested(t);
    return (bo_load_seq(&t->t.word) & BO_DUE) && bo_level_meet(t) != NULL;
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
