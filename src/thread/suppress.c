/* SPDX-License-Identifier: MIT */
#include "thread/suppress.h"
#include "state/clock.h"
#include "state/tree.h"
#include "wake/post.h"
#include "wake/ticker.h"

struct bo_record *bo_foreign_pending(const struct bo_thread *t)
{
    bool silent = bo_load_relaxed(&t->call.foreign) == BO_FOREIGN_SILENT;
    return bo_pending_foreign(t, silent ? &t->silenced : &t->reported);
}

/* When the suppression for this sort of call ends; BO_FOREVER: the word is due already, or nothing is suppressed. */
static int64_t suppressed_until(const struct bo_suppression *s, bool due)
{
    return !due && bo_load_seq(&s->seq) ? bo_load_relaxed(&s->until) : BO_FOREVER;
}

static int64_t earliest(const struct bo_thread *t, uint64_t w)
{
    return bo_earlier(suppressed_until(&t->reported, w & BO_FOREIGN_DUE),
                      suppressed_until(&t->silenced, w & BO_SILENT_DUE));
}

bool bo_foreign_suppressed(const struct bo_thread *t, uint64_t w)
{
    return (w & BO_DUE) && earliest(t, w) != BO_FOREVER;
}

void bo_foreign_look_in_time(struct bo_thread *t)
{
    int64_t until = earliest(t, bo_load_seq(&t->t.word));
    if (until != BO_FOREVER)
        bo_ticker_look_by(&t->t, bo_to_monotonic(until));
}

/* The wake makes both sorts of calls due. If one sort is still suppressed, the thread clears that bit at its next call
 * of the sort. */
int64_t bo_foreign_look(struct bo_thread *t, uint64_t w)
{
    int64_t until = earliest(t, w);
    if (bo_now() < until)
        return bo_to_monotonic(until);
    bo_wake(t, bo_word_generation(w), false);
    return BO_FOREVER;
}
