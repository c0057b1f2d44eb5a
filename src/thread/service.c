/* SPDX-License-Identifier: MIT */
/* The ticker's work when it examines a slot. It decides from the slot's state alone: an outdated entry has no
 * effect. */
#include "base/hook.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/log.h"
#include "thread/foreign_call.h"
#include "thread/level.h"
#include "thread/stranger.h"
#include "thread/suppress.h"
#include "upcalls.h"
#include "wake/last_thread.h"
#include "wake/pace.h"
#include "wake/post.h"
#include "wake/ticker.h"
#include "wake/unanswered.h"
#include "wake/wake.h"

#define LAST_REPEAT BO_MS(10)
#define SILENT_RECHECK BO_SEC(1)

/* ---- examining a thread: each function returns when to examine it again ------------------------------------------ */

/* The thread is due, and still in its call. The wake is late 50 ms after it was sent, and again after each diagnosis. A
 * signal that could not be sent is sent as soon as possible. */
static int64_t look_at_wake(struct bo_thread *t, uint64_t w, int64_t now)
{
    if (bo_load_relaxed(&t->t.put_off))
        return BO_FOREVER; /* pacing wakes the thread later (wake/pace.h) */
    int64_t late_at = bo_load_relaxed(&t->t.last_wake_at) + BO_ANSWER_WITHIN;
    bool reported = bo_load_relaxed(&t->t.silence_reported) & ~BO_REPORTED_LEFT, late = now >= late_at;
    if (!late && !bo_load_seq(&t->t.unsent))
        return late_at;
    bool again = !late || bo_unanswered_diagnose(t, bo_word_generation(w));
    if (late)
        bo_store_relaxed(&t->t.last_wake_at, reported ? now + SILENT_RECHECK - BO_ANSWER_WITHIN : now);
    if (again && !bo_signal_again(t, w))
        return now;
    return now + (bo_load_seq(&t->t.unsent) ? LAST_REPEAT : reported ? SILENT_RECHECK : BO_ANSWER_WITHIN);
}

/* The thread is still in a call with repeated signals. The signal is repeated after 0.2 to 10 ms; after 50 ms, and then
 * rarely, the cause of the delay is diagnosed. */
static int64_t look_at_repeat(struct bo_thread *t, uint64_t w, int64_t now)
{
    enum { FOR_50_MS = 10, FOR_A_SECOND = 100 };
    uint32_t asks = bo_load_relaxed(&t->t.wakes_sent);
    int64_t pause = asks > 6 ? LAST_REPEAT : bo_earlier((int64_t)BO_FIRST_REPEAT << asks, LAST_REPEAT);
    int64_t due = bo_load_relaxed(&t->t.last_wake_at) + pause;
    if (now < due)
        return due;
    bo_store_relaxed(&t->t.wakes_sent, asks + 1);
    bo_store_relaxed(&t->t.last_wake_at, now);
    if (asks == FOR_50_MS || (asks && asks % FOR_A_SECOND == 0))
        bo_unanswered_diagnose(t, bo_word_generation(w));
    return bo_signal_again(t, w) ? now + pause : now;
}

/* The code in an asynchronous region has 50 ms to reach a point; then the thread gets a signal (rule 14). */
static int64_t look_at_async(struct bo_thread *t, uint64_t w, int64_t now)
{
    int64_t due = bo_load_relaxed(&t->t.last_wake_at) + BO_ANSWER_WITHIN;
    if (now < due)
        return due;
    return bo_signal_again(t, w) ? now + LAST_REPEAT : now;
}

struct overrun {
    const char *file; /* NULL: the slot lists no critical section */
    int line;
    pid_t tid;
    char name[BO_NAME];
};

/* The innermost critical section that the slot lists; regions of other kinds may be open in it. */
__attribute__((no_sanitize("thread"))) static struct overrun innermost_section(const struct bo_thread *t)
{
    struct overrun o = {.tid = bo_load_relaxed(&t->tid)};
    uint32_t depth = bo_load_acquire(&t->depth);
    uint32_t i = depth < BO_REGIONS ? depth : BO_REGIONS;
    while (i && t->region[i - 1].kind != BO_CRITICAL)
        i--;
    if (i)
        o.file = t->region[i - 1].file, o.line = t->region[i - 1].line;
    bo_name_of(&t->t, o.name);
    return o;
}

/* When a critical section's budget is used up, the section no longer protects (rule 17). After the step the owner may
 * leave the section and end, so the section is noted before the step. If the owner has begun another section since
 * then, the step fails, because the word counts sections. */
static int64_t look_at_section(struct bo_thread *t, uint64_t w)
{
    int64_t end = bo_level_budget_end(t);
    if (bo_now() < end)
        return bo_to_monotonic(end);
    const struct overrun o = innermost_section(t);
    uint64_t next = (w & ~(uint64_t)(BO_DISABLED | BO_TIMED)) | BO_OVERRUN;
    if (!bo_word_step(&t->t.word, &w, next, BO_BY_BUDGET))
        return bo_clock();
    bo_wake(t, bo_word_generation(w), false); /* the interrupt is due now, as if it had just been posted */
    BO_HOOK(section_overrun);
    if (o.file)
        bo_report("the critical section at %s:%d in thread %d (%s) has used up its budget and no longer protects",
                  o.file, o.line, (int)o.tid, o.name);
    return bo_clock() + BO_ANSWER_WITHIN;
}

/* When a cleanup region's grace period, or the time in a handler's verdict, is over, suppressed records are due again
 * (rules 20, 35). */
static int64_t look_at_shield(struct bo_thread *t, uint64_t w)
{
    int64_t now = bo_now();
    int64_t until = bo_earlier(bo_suppression_end(&t->shield, now), bo_suppression_end(&t->resumed, now));
    if (until != BO_FOREVER)
        return bo_to_monotonic(until);
    if (bo_suppression_is_endless(&t->shield) || bo_suppression_is_endless(&t->resumed))
        return BO_FOREVER; /* the grace period is unlimited, or a handler runs */
    bo_wake(t, bo_word_generation(w), false);
    return BO_FOREVER;
}

static int64_t look_at_thread(struct bo_thread *t, int64_t now)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (!(w & BO_LIVE) || (bo_is_strange(w) && bo_stranger_is_gone(t, w)))
        return BO_FOREVER;
    if ((w & BO_IN) && (w & bo_foreign_due_bit(t)))
        return w & BO_REPEAT ? look_at_repeat(t, w, now) : look_at_wake(t, w, now);
    if ((w & BO_PENDING) && (w & BO_TIMED))
        return look_at_section(t, w);
    if ((w & BO_DUE) && (w & BO_ASYNC) && !(w & BO_IN))
        return look_at_async(t, w, now);
    if (bo_foreign_suppressed(t, w))
        return bo_foreign_look(t, w);
    bool shielded = (w & BO_PENDING) && !(w & (BO_DUE | BO_DISABLED)) &&
                    (bo_load_seq(&t->shield.seq) || bo_load_seq(&t->resumed.seq));
    return shielded ? look_at_shield(t, w) : BO_FOREVER;
}

/* ---- examining a branch ------------------------------------------------------------------------------ */

static int64_t look_at_branch(struct bo_branch *b)
{
    static const struct bough_event passed = {.kind = BOUGH_TIMEOUT, .reason = "the deadline has passed"};
    uint64_t w = bo_load_seq(&b->t.word);
    if (!(w & BO_LIVE))
        return BO_FOREVER;
    int64_t next = BO_FOREVER, now = bo_now(), deadline = bo_load_seq(&b->deadline);
    if (deadline <= now)
        bo_post(bo_handle_make(b->t.index, bo_word_generation(w), true), &passed, NULL);
    else if (deadline != BO_FOREVER)
        next = bo_to_monotonic(deadline);
    bool shielded = bo_load_relaxed(&b->shield.seq) != 0;
    int64_t until = bo_load_relaxed(&b->shield.until);
    if (shielded && now < until)
        next = bo_earlier(next, bo_to_monotonic(until));
    else if (shielded)
        bo_wake_subtree(&b->t, false);
    return next;
}

static int64_t look_at_target(struct bo_target *t)
{
    return bo_is_branch(t) ? look_at_branch((struct bo_branch *)t) : look_at_thread((struct bo_thread *)t, bo_clock());
}

/* ---- for the ticker ------------------------------------------------------------------------------------- */

int64_t bo_service(struct bo_target *t)
{
    if (bo_swap_seq(&t->wake_subtree, 0))
        bo_wake_subtree(t, false);
    int64_t next = look_at_target(t);
    if (bo_load_seq(&t->due) && (bo_load_seq(&t->word) & BO_LIVE))
        next = bo_earlier(next, bo_ladder_look(t));
    return next;
}

int64_t bo_service_tick(void)
{
    return bo_earlier(bo_ladder_tick(), bo_earlier(bo_last_thread_tick(), bo_pace_tick()));
}
