/* SPDX-License-Identifier: MIT */
/*
 *      all others are interrupted (kind exit) --> they have a quarter of the time to end --> exit tiers, until half of
 *        the time is over --> exit(): atexit handlers, destructors, streams --> by signal, or status 70
 *
 * The process often ends in the first step: main returns. C libraries forbid two threads in exit() at once. So main's
 * exit() waits for this thread's exit() indefinitely. If main was first, this thread does not call exit(), and rung 6
 * ends an exit that hangs.
 */
#include "ladder/exit.h"
#include <bough/ladder.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "api/signals.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/hook.h"
#include "ladder/log_queue.h"
#include "ladder/terminal.h"
#include "state/log.h"
#include "state/record.h"
#include "upcalls.h"
#include "wake/post.h"
#include "wake/ticker.h"

struct tier {
    struct tier *next;
    int tier;
    void (*fn)(void *);
    void *argument;
};

static struct tier *tiers; /* in the order they run */
static struct bo_lock tiers_lock;
static _Atomic uint32_t exit_begun;

bool bo_leave_first(void)
{
    return !bo_swap_seq(&exit_begun, 1);
}

void bo_leave_not(void)
{
    bo_store_seq(&exit_begun, 0);
}

bool bo_is_leaving(void)
{
    return bo_load_seq(&exit_begun);
}

int bough_exit_tier(int tier, void (*fn)(void *), void *argument)
{
    if (!fn)
        return errno = EINVAL, -1;
    struct tier *new = malloc(sizeof *new);
    if (!new)
        return errno = ENOMEM, -1;
    *new = (struct tier){NULL, tier, fn, argument};
    bo_lock(&tiers_lock);
    struct tier **at = &tiers;
    while (*at && (*at)->tier < tier)
        at = &(*at)->next;
    new->next = *at;
    *at = new;
    bo_unlock(&tiers_lock);
    return 0;
}

/* If the list's lock is not free in time, the tiers are skipped: the thread that holds it may be frozen. */
static struct tier *take_tiers(int64_t until)
{
    if (!bo_lock_by(&tiers_lock, until))
        return NULL;
    struct tier *all = tiers;
    tiers = NULL;
    bo_unlock(&tiers_lock);
    return all;
}

struct running {
    struct tier *tiers;
    _Atomic uint32_t done;
};

/* The tiers run on a separate thread, so that a tier that hangs does not prevent the exit. */
static void *run_tiers(void *argument)
{
    struct running *r = argument;
    pthread_setname_np(pthread_self(), "bough-exit");
    for (struct tier *t = r->tiers; t; t = t->next)
        bo_ladder_guard(t->fn, t->argument, "an exit tier");
    bo_store_seq(&r->done, 1);
    bo_futex_wake(&r->done, 1);
    return NULL;
}

static void run_exit_tiers(int64_t until)
{
    static struct running r;
    pthread_t thread;
    r.tiers = take_tiers(until);
    if (!r.tiers)
        return;
    if (pthread_create(&thread, NULL, run_tiers, &r) != 0) {
        run_tiers(&r); /* on this thread instead: then only rung 6 limits their time */
        return;
    }
    pthread_detach(thread);
    while (!bo_load_seq(&r.done) && bo_clock() < until)
        bo_futex_sleep(&r.done, 0, until);
    if (!bo_load_seq(&r.done))
        bo_report("exit: the time for the exit tiers has run out; continuing without them");
}

/* Threads that are interrupted for an exit already are not interrupted again: that would be a second event, and begin
 * the kill. Returns whether they are interrupted for this exit. */
static bool interrupt_the_others(const struct bo_leaving *l)
{
    if (bo_record_stands(bo_record_of(&bo_branch_at(BO_ROOT)->t, BOUGH_EXIT)))
        return false;
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = l->reason};
    return bo_post((uint64_t)(uintptr_t)bough_root(), &event, NULL) == 0;
}

/* No exit begins. Another incident at rung 5 that has relied on this exit gets one. */
static void give_leaving_up(void)
{
    bo_leave_not();
    bo_ticker_attend();
}

static void stop_interrupting(void)
{
    struct bo_target *root = &bo_branch_at(BO_ROOT)->t;
    bo_and_seq(&root->due, ~(1u << BOUGH_EXIT));
    bo_record_close(bo_record_of(root, BOUGH_EXIT), BOUGH_POST_CLEARED);
    bo_wake_subtree(root, true); /* they check again, and find no record */
}

/* The incident was handled before anything irrevocable was done: cancel the exit. A record of kind exit stays, if the
 * program has posted to it, too. */
static void call_off(bool interrupted)
{
    if (interrupted && bo_record_count(bo_record_of(&bo_branch_at(BO_ROOT)->t, BOUGH_EXIT)) == 1)
        stop_interrupting();
    give_leaving_up();
}

void bo_leave(void *argument)
{
    const struct bo_leaving *l = argument;
    int64_t begun = bo_clock(), time = l->until > begun ? l->until - begun : 0;
    BO_HOOK(leave_begins);
    bo_log_queue_not_here();
    if (l->over()) {
        give_leaving_up();
        return;
    }
    bool interrupted = interrupt_the_others(l);
    bo_await_others(begun + time / 4, l->over);
    if (l->over()) {
        call_off(interrupted);
        return;
    }
    run_exit_tiers(begun + time / 2);
    bo_terminals_put_back();
    bo_ladder_drain(bo_clock() + time / 8);
    int64_t left = l->until - bo_clock();
    bo_exit_from_here(l->signo, BOUGH_EXIT_STATUS, left > 0 ? left / 2 : 0);
}
