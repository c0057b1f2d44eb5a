/* SPDX-License-Identifier: MIT */
#include "core/post.h"
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/hook.h"
#include "base/raw.h"
#include "core/above.h"
#include "core/deliver.h"
#include "core/foreign.h"
#include "core/pace.h"
#include "core/self.h"
#include "core/ticker.h"
#include "core/tree.h"

/* Waking more threads than this is too long for a signal handler (10,000 took 140 ms). */
enum { MANY = 64 };

/* ---- waking one thread ----------------------------------------------------------------------------- */

void bo_signal(struct bo_thread *t)
{
    BO_HOOK(post_sent);
    /* The thread does not leave its call before this signal was handled (rule 6): the id is its own. */
    bo_store_relaxed(&t->asks, bo_load_relaxed(&t->asks) + 1);
    bo_store_relaxed(&t->unanswered, 0);
    bo_store_relaxed(&t->asked_at, bo_clock()); /* the ticker may look at once, and this is no old wake */
    bo_deliver_send(t);
    bo_ticker_watch(t);
}

/* Level-triggered for event loops: one writer at a time, and the owner waits for it before it closes. */
static void ring(struct bo_thread *t)
{
    static const uint64_t one = 1;
    bo_raw3(SYS_write, t->event_fd, (long)&one, sizeof one);
    bo_and_seq(&t->t.word, ~(uint64_t)BO_EVENT_SENT);
}

/* The step that rule 13 asks for: due, and if the thread is in a call also sent, at once. Or its wake is put off. Whether one
 * was sent. */
static bool step(struct bo_thread *t, uint32_t generation, bool repeated, bool may_wake)
{
    uint64_t w = bo_load_seq(&t->t.word), next;
    do {
        if (bo_word_generation(w) != generation || !(w & BO_LIVE))
            return false;
        if (repeated && (w & BO_PENDING))
            return false; /* it has weighed this record already, perhaps to let its cleanup run */
        next = bo_word_posted(w);
        if (may_wake)
            next = bo_word_woken(next);
        if ((next & BO_EVENT) && (next & BO_DUE))
            next |= BO_EVENT_SENT;
    } while (!bo_cas_seq(&t->t.word, &w, next));
    bo_word_check(next);
    uint64_t set = next & ~w;
    if (set & BO_EVENT_SENT)
        ring(t);
    if (set & BO_SENT)
        bo_signal(t);
    else if (bo_word_woken(next) != next)
        bo_pace_put_off(t);
    else if ((next & BO_ASYNC) && (set & BO_DUE))
        bo_ticker_watch(t);
    if (next & BO_TIMED)
        bo_ticker_look(&t->t);
    return set & BO_SENT;
}

static void wake(struct bo_thread *t, uint32_t generation, bool repeated)
{
    bo_send_begin(t);
    bool may_wake = bo_pace_enter(t);
    if (!step(t, generation, repeated, may_wake) && may_wake)
        bo_pace_leave(t);
    bo_send_end(t);
}

void bo_wake(struct bo_thread *t, uint32_t generation, bool at_once)
{
    if (!at_once) {
        wake(t, generation, false);
        return;
    }
    bo_send_begin(t);
    step(t, generation, false, true);
    bo_send_end(t);
}

bool bo_wake_put_off(struct bo_thread *t)
{
    bo_send_begin(t);
    uint64_t w = bo_load_seq(&t->t.word), next;
    do
        next = w & bo_foreign_due_bit(t) ? bo_word_woken(w) : w;
    while (next != w && !bo_cas_seq(&t->t.word, &w, next));
    bool sent = next & ~w & BO_SENT;
    if (sent)
        bo_signal(t);
    bo_send_end(t);
    return sent;
}

/* ---- waking a subtree ------------------------------------------------------------------------------ */

/* A slot that is used anew under our eyes has an adder that sees the mark: skip it. */
static bool below_now(struct bo_thread *t, uint32_t generation, const struct bo_target *target, bool branch)
{
    return bo_below(t, target, branch) && bo_target_is(&t->t, generation);
}

static unsigned spread(const struct bo_target *target, bool branch, bool repeated, bool at_once)
{
    unsigned marked = 0;
    uint32_t high = bo_load_seq(&bo_arena.head->thread_high);
    for (uint32_t i = 1; i < high; i++) {
        struct bo_thread *t = bo_thread_at(i);
        uint64_t w = bo_load_seq(&t->t.word);
        if (!(w & BO_LIVE) || !below_now(t, bo_word_generation(w), target, branch))
            continue;
        if (at_once)
            bo_wake(t, bo_word_generation(w), true);
        else
            wake(t, bo_word_generation(w), repeated);
        marked++;
    }
    return marked;
}

unsigned bo_spread(const struct bo_target *target, bool branch, bool at_once)
{
    return spread(target, branch, false, at_once);
}

/* Does anything branch off this target, besides the body? Children are counted before they are LIVE, branches
 * before they are open: who is missed here sees the mark when it looks. */
static bool has_subtree(const struct bo_target *target, bool branch)
{
    if (!branch)
        return bo_load_seq(&((const struct bo_thread *)target)->top) != BO_NONE;
    const struct bo_branch *b = (const struct bo_branch *)target;
    uint32_t owner = bo_load_seq(&b->owner);
    return owner == BO_NONE || bo_load_seq(&b->live) || bo_load_seq(&bo_thread_at(owner)->top) != target->index;
}

/* A thread without branches; or a branch without children, whose body is its owner. The caller's pin keeps
 * the target, and so the owner of an open branch. */
static void wake_alone(struct bo_target *target, bool branch, bool repeated)
{
    uint32_t index = branch ? bo_load_seq(&((struct bo_branch *)target)->owner) : target->index;
    struct bo_thread *t = bo_thread_at(index);
    wake(t, bo_word_generation(bo_load_seq(&t->t.word)), repeated);
}

/* The call below this handler ends by the interrupt, not by EINTR and a wake that comes later (rule 5). */
static void wake_self(const struct bo_target *target, bool branch, bool repeated)
{
    if (bo_self && bo_below(bo_self, target, branch))
        wake(bo_self, bo_word_generation(bo_load_seq(&bo_self->t.word)), repeated);
}

static void spread_from_here(struct bo_target *target, bool branch, bool repeated)
{
    if (!has_subtree(target, branch)) {
        wake_alone(target, branch, repeated);
        return;
    }
    /* In a forked child the ticker does not run before it is needed: there are not many threads, either. */
    if (bo_load_relaxed(&bo_arena.head->thread_high) > MANY && bo_ticker_runs() && bo_deliver_in_handler()) {
        wake_self(target, branch, repeated);
        bo_ticker_spread(target);
        return;
    }
    spread(target, branch, repeated, false);
}

/* ---- posting ----------------------------------------------------------------------------------------- */

static const struct bough_event plain_stop = {.kind = BOUGH_STOP};

int bo_post(uint64_t handle, const struct bough_event *event, bough_post *post)
{
    if (!event)
        event = &plain_stop;
    if ((unsigned)event->kind >= BOUGH_KINDS || event->rung < 0 || event->rung > 6)
        return errno = EINVAL, -1;
    struct bo_target *target = bo_target_of(handle);
    if (!target)
        return -1;
    uint32_t generation = bo_handle_generation(handle);
    /* The pin keeps the generation from ending while the record is written (rule 6). A pin first and then
     * a look: bo_retire ends the generation first and then waits for pins. */
    bo_add_seq(&target->pins, 1);
    if (!bo_target_is(target, generation)) {
        bo_sub_seq(&target->pins, 1);
        return errno = ESRCH, -1;
    }
    struct bo_record *r = bo_record_of(target, event->kind);
    bool repeated;
    uint32_t serial = bo_record_post(r, handle, generation, event, &repeated);
    bo_or_seq(&target->due, 1u << event->kind);
    bool branch = bo_handle_is_branch(handle);
    bo_ladder_posted(target, branch, r, repeated);
    /* The record's flags and not the event's: who posts to the subtree while another writes the record for a thread
     * alone is answered for by the one or the other. */
    if (!branch && (bo_record_flags(r) & BOUGH_ALONE))
        wake_alone(target, false, repeated);
    else
        spread_from_here(target, branch, repeated);
    bo_sub_seq(&target->pins, 1);
    if (post)
        *post = (bough_post){.record = handle, .serial = serial << 4 | (uint32_t)event->kind};
    return 0;
}
