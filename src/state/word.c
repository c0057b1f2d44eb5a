/* SPDX-License-Identifier: MIT */
#include "state/word.h"
#include <limits.h>
#include "base/futex.h"

/* The lower half, as a futex word. */
static const uint32_t *low_half(const bo_word *word)
{
    const uint32_t *half = (const uint32_t *)(const void *)word;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? half : half + 1;
}

/* A sender is one system call away, and may have been preempted: a moment is mostly enough. */
void bo_word_await_senders(bo_word *word)
{
    uint64_t w = bo_load_seq(word);
    if (w & BO_SENDERS) {
        int64_t now = bo_clock();
        bo_yield(&now);
    }
    for (w = bo_load_seq(word); w & BO_SENDERS;) {
        if (bo_word_step(word, &w, w | BO_WAITS))
            bo_futex_sleep(low_half(word), (uint32_t)(w | BO_WAITS), BO_FOREVER);
        w = bo_load_seq(word);
    }
    bo_and_seq(word, ~(uint64_t)BO_WAITS);
}

void bo_word_sent(bo_word *word)
{
    uint64_t w = bo_load_seq(word);
    while (!bo_word_step(word, &w, w - BO_SENDER))
        ;
    if ((w & BO_WAITS) && (w & BO_SENDERS) == BO_SENDER)
        bo_futex_wake(low_half(word), INT_MAX);
}

#ifndef NDEBUG
#include <assert.h>

static void check_state(uint64_t w)
{
    if (!(w & BO_LIVE)) {
        assert(((uint32_t)w & ~(uint32_t)(BO_SENDERS | BO_WAITS | BO_CHANGES)) == 0);
        return;
    }
    assert(!(w & BO_DUE) || (w & BO_PENDING));
    assert(!(w & (BO_FOREIGN_DUE | BO_SILENT_DUE)) || (w & BO_DUE));
    assert(!(w & BO_REPEAT) || (w & BO_IN));
    assert(!(w & BO_TIMED) || (w & BO_MASKED));
    assert(!(w & BO_SLOW) || !(w & (BO_IN | BO_ASYNC | BO_CLOSABLE | BO_MASKED | BO_EVENT)));
}

/* A signal is promised only where it may come; senders come and go one at a time. */
static void check_step(uint64_t from, uint64_t to)
{
    uint64_t before = from & BO_SENDERS, after = to & BO_SENDERS;
    assert(before == after || before + BO_SENDER == after || after + BO_SENDER == before);
    bool may_come = (from & (BO_IN | BO_ASYNC)) || ((from & BO_CLOSABLE) && (to & BO_SUMMONED));
    assert(!(to & ~from & BO_NOTE) || may_come);
    assert(bo_word_generation(to) - bo_word_generation(from) <= 1);
}

void bo_word_check(uint64_t from, uint64_t to)
{
    check_state(to);
    check_step(from, to);
}
#else
typedef int bo_no_word_check;
#endif
