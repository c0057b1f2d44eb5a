/* SPDX-License-Identifier: MIT */
#include "state/word.h"
#include <limits.h>
#include "base/futex.h"

/* A sender needs only one more system call, but may have been preempted: usually a short wait is enough. */
void bo_word_await_senders(bo_word *word)
{
    uint64_t w = bo_load_seq(word);
    if (w & BO_SENDERS) {
        int64_t now = bo_clock();
        bo_yield(&now);
    }
    for (w = bo_load_seq(word); w & BO_SENDERS;) {
        if (bo_word_step(word, &w, w | BO_WAITS, BO_BY_AWAIT))
            bo_futex_sleep(bo_low_half(word), (uint32_t)(w | BO_WAITS), BO_FOREVER);
        w = bo_load_seq(word);
    }
    bo_word_clear(word, BO_WAITS, BO_BY_AWAIT);
}

void bo_word_sent(bo_word *word)
{
    uint64_t w = bo_load_seq(word);
    while (!bo_word_step(word, &w, w - BO_SENDER, BO_BY_SENT))
        ;
    if ((w & BO_WAITS) && (w & BO_SENDERS) == BO_SENDER)
        bo_futex_wake(bo_low_half(word), INT_MAX);
}

#ifndef NDEBUG
#include <assert.h>

#define BITS (((uint64_t)1 << 17) - 1)

static const struct {
    uint64_t sets, clears;
} may[] = {
#define MAY(name, function, sets, clears) [BO_BY_##name] = {sets, clears},
    BO_WORD_STEPS(MAY)
#undef MAY
};

/* In a forked child without a ticker each point checks the deadlines: then the word is due, although no interrupt is
 * pending. */
static _Atomic bool is_watchful;

BO_BARE static void check_state(uint64_t w)
{
    if (!(w & BO_LIVE)) {
        assert(((uint32_t)w & ~(uint32_t)(BO_SENDERS | BO_WAITS | BO_CHANGES)) == 0);
        return;
    }
    assert(!(w & BO_DUE) || (w & BO_PENDING) || bo_load_relaxed(&is_watchful));
    assert(!(w & (BO_FOREIGN_DUE | BO_SILENT_DUE)) || (w & BO_DUE));
    assert(!(w & BO_REPEAT) || (w & BO_IN));
    assert(!(w & BO_TIMED) || (w & BO_DISABLED));
    assert(!(w & BO_UNADOPTED) || !(w & (BO_IN | BO_ASYNC | BO_CLOSABLE | BO_DISABLED | BO_EVENT)));
}

/* A signal may be promised only where it may be delivered. */
BO_BARE static void check_note(uint64_t from, uint64_t to)
{
    bool may_come = (from & (BO_IN | BO_ASYNC)) || ((from & BO_CLOSABLE) && (to & BO_SUMMONED));
    assert(!(to & ~from & BO_NOTE) || may_come);
}

/* The number of senders changes by one at a time; a forked child has none. */
BO_BARE static void check_counts(uint64_t from, uint64_t to, enum bo_word_step by)
{
    uint64_t before = from & BO_SENDERS, after = to & BO_SENDERS;
    assert(before == after || (before + BO_SENDER == after && (may[by].sets & BO_SENDERS)) ||
           (after + BO_SENDER == before && (may[by].clears & BO_SENDERS)) || (after == 0 && by == BO_BY_FORK));
    assert(!((from ^ to) & BO_CHANGES) || ((may[by].sets | may[by].clears) & BO_CHANGES));
    uint32_t ends = bo_word_generation(to) - bo_word_generation(from);
    assert(ends == 0 || (ends == 1 && by == BO_BY_END) || by == BO_BY_ROOT || by == BO_BY_SLOT);
}

BO_BARE void bo_word_check(uint64_t from, uint64_t to, enum bo_word_step by)
{
    if (by == BO_BY_WATCHFUL)
        bo_store_relaxed(&is_watchful, true);
    assert(!(to & ~from & BITS & ~may[by].sets));
    assert(!(from & ~to & BITS & ~may[by].clears));
    check_counts(from, to, by);
    check_note(from, to);
    check_state(to);
}

BO_BARE void bo_word_look(uint64_t w, int in)
{
    assert(in < 0 || !(w & BO_IN) == !in);
    check_state(w);
}
#else
typedef int bo_no_word_check;
#endif
