/* SPDX-License-Identifier: MIT */
#include "wake/post.h"
#include <bough/ladder.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/mask.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/reach.h"
#include "state/tree.h"
#include "upcalls.h"
#include "wake/frames.h"
#include "wake/pace.h"
#include "wake/ticker.h"
#include "wake/wake.h"
#include "wake/wake_send.h"

/* Waking more threads than this takes too long for a signal handler (10,000 took 140 ms). */
enum { MAX_WAKES_IN_HANDLER = 64 };

/* ---- waking one thread ----------------------------------------------------------------------------- */

static void wake_paced(struct bo_thread *t, uint32_t generation)
{
    bool may_wake = bo_pace_enter(t);
    enum bo_waking how = bo_wake_step(t, generation, 0, may_wake);
    if (how == BO_WAKE_PUT_OFF)
        bo_pace_put_off(t);
    else if (how == BO_NOT_WOKEN && may_wake)
        bo_pace_leave(t);
}

void bo_wake(struct bo_thread *t, uint32_t generation, bool at_once)
{
    uint64_t mask = bo_signals_off();
    if (at_once)
        bo_wake_step(t, generation, 0, true);
    else
        wake_paced(t, generation);
    bo_signals_on(mask);
}

/* ---- waking a subtree ------------------------------------------------------------------------------ */

/* A repeated post that changes nothing wakes no thread: the thread has met this record already, and may be running its
 * cleanup. */
static void repeat(struct bo_thread *t, uint32_t generation, enum bo_posting how)
{
    if (how != BO_REPEATED || !(bo_load_seq(&t->t.word) & BO_PENDING))
        wake_paced(t, generation);
}

static unsigned wake_scanned(const struct bo_target *target, enum bo_posting how, bool at_once)
{
    unsigned marked = 0;
    struct bo_scan scan;
    struct bo_thread *t;
    uint64_t w;
    bo_scan_begin(&scan, target);
    for (; (t = bo_scan_next(&scan, &w)); marked++)
        if (at_once)
            bo_wake_step(t, bo_word_generation(w), 0, true);
        else
            repeat(t, bo_word_generation(w), how);
    return marked;
}

unsigned bo_wake_subtree(const struct bo_target *target, bool at_once)
{
    uint64_t mask = bo_signals_off();
    unsigned marked = wake_scanned(target, BO_POSTED, at_once);
    bo_signals_on(mask);
    return marked;
}

/* Whether a thread or branch is below this target, besides the block's thread. Children are counted before they are
 * LIVE, branches before they are open: a thread or branch that is missed here sees the mark itself. */
static bool has_subtree(const struct bo_target *target)
{
    if (!bo_is_branch(target))
        return bo_load_seq(&((const struct bo_thread *)target)->top) != BO_NONE;
    const struct bo_branch *b = (const struct bo_branch *)target;
    uint32_t owner = bo_load_seq(&b->owner);
    return owner == BO_NONE || bo_load_seq(&b->live) || bo_load_seq(&bo_thread_at(owner)->top) != target->index;
}

/* Wakes a thread without branches, or the owner of a branch without children. The caller's pin keeps the target alive,
 * and so the owner of an open branch. */
static void wake_alone(struct bo_target *target, enum bo_posting how)
{
    uint32_t index = bo_is_branch(target) ? bo_load_seq(&((struct bo_branch *)target)->owner) : target->index;
    struct bo_thread *t = bo_thread_at(index);
    repeat(t, bo_word_generation(bo_load_seq(&t->t.word)), how);
}

/* Called in a signal handler, so that the call that it has interrupted ends by the interrupt, not by EINTR and a later
 * wake (rule 5). */
static void wake_self(const struct bo_target *target, enum bo_posting how)
{
    if (bo_self && bo_below(bo_self, target))
        repeat(bo_self, bo_word_generation(bo_load_seq(&bo_self->t.word)), how);
}

/* `blocked`: the signals that the poster had blocked. */
static void wake_subtree_from_here(struct bo_target *target, enum bo_posting how, uint64_t blocked)
{
    if (!has_subtree(target)) {
        wake_alone(target, how);
        return;
    }
    bo_tree_marked();
    /* In a forked child the ticker may not run yet; but then there are not many threads. */
    if (bo_load_relaxed(&bo_arena.head->thread_high) > MAX_WAKES_IN_HANDLER && bo_ticker_runs() &&
        bo_frames_in_handler(blocked)) {
        wake_self(target, how);
        bo_ticker_wake_subtree(target);
        return;
    }
    wake_scanned(target, how, false);
}

/* ---- posting ----------------------------------------------------------------------------------------- */

static const struct bough_event plain_stop = {.kind = BOUGH_STOP};

/* The pin keeps the generation from ending while the record is written (rule 6). It is taken before the generation is
 * checked, because bo_retire() ends the generation and then waits for pins. All signals are blocked, so that no thread
 * is frozen here or leaves by a jump. */
static bool post_to(struct bo_target *target, uint32_t generation, uint64_t handle, const struct bough_event *event,
                    int limit, uint32_t *serial, uint64_t blocked)
{
    bool branch = bo_handle_is_branch(handle);
    enum bo_posting how;
    bo_add_seq(&target->pins, 1);
    bool is = bo_target_is(target, generation);
    if (is) {
        struct bo_record *r = bo_record_of(target, event->kind);
        *serial = bo_record_post(r, handle, generation, event, limit, &how);
        bo_or_seq(&target->due, 1u << event->kind);
        BO_HOOK(post_due);
        bo_ladder_posted(target, r, how != BO_POSTED);
        /* The record's flags and not the event's: when one poster posts to the subtree while another writes the record
         * for a thread alone, one of the two wakes the subtree. */
        if (!branch && (bo_record_flags(r) & BOUGH_ALONE))
            wake_alone(target, how);
        else
            wake_subtree_from_here(target, how, blocked);
    }
    bo_unpin(target, generation);
    return is;
}

int bo_post_up_to(uint64_t handle, const struct bough_event *event, int limit, bough_post *post)
{
    if (!event)
        event = &plain_stop;
    if ((unsigned)event->kind >= BOUGH_KINDS || event->rung < 0 || event->rung > 6)
        return errno = EINVAL, -1;
    struct bo_target *target = bo_target_of(handle);
    if (!target)
        return -1;
    uint32_t generation = bo_handle_generation(handle), serial;
    uint64_t mask = bo_signals_off();
    bool done = post_to(target, generation, handle, event, limit, &serial, mask);
    bo_signals_on(mask);
    if (!done)
        return errno = ESRCH, -1;
    if (post)
        *post = (bough_post){.record = handle, .serial = serial << 4 | (uint32_t)event->kind};
    return 0;
}

int bo_post(uint64_t handle, const struct bough_event *event, bough_post *post)
{
    return bo_post_up_to(handle, event, BOUGH_RUNG_KILL, post);
}
