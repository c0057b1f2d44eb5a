/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ladder/freeze.h"
#include <bough/ladder.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "arch/frame.h"
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "branch/lost.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/tree.h"
#include "thread/level.h"
#include "wake/frames.h"
#include "wake/wake.h"

/* ---- the state, with its generation -------------------------------------------------------- */

enum state { RUNS, ASKED, STOPPING, FROZEN = BO_STANDS_STILL };

static uint32_t make_freeze(uint32_t generation, enum state state)
{
    return bo_freeze_make(generation, (uint32_t)state);
}

static uint32_t generation_of(const struct bo_thread *t)
{
    return bo_word_generation(bo_load_seq(&t->t.word));
}

static bool is(const struct bo_thread *t, uint32_t generation, enum state state)
{
    return bo_load_seq(&t->freeze.state) == make_freeze(generation, state);
}

/* ---- on the thread --------------------------------------------------------------------------------------- */

/* Is the thread in a signal handler? Then it must not freeze, because the interrupted code is unknown. Where frames
 * can't be read, blocked signals count as a handler. */
static bool on_handler(void)
{
    uint64_t blocked = 0;
    int on = bo_frames_on_handler(BO_FRAME());
    if (on < 0)
        bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof blocked);
    return on < 0 ? blocked != 0 : on;
}

static bool freeze_is_asked(const struct bo_thread *t)
{
    return is(t, generation_of(t), ASKED);
}

static bool in_nothing(const struct bo_thread *t)
{
    return t->open.critical == 0 && !t->incident.handling && bo_busy == 0;
}

/* Other libraries may hold internal locks, so a thread is not frozen in their code, unless a closable region around the
 * calls marks it as safe. */
static bool in_foreign_code(const struct bo_thread *t)
{
    return (bo_load_relaxed(&t->call.foreign) || t->open.foreign > t->call.foreign_from_start) && t->open.closable == 0;
}

bool bo_freeze_wanted(const struct bo_thread *t)
{
    return freeze_is_asked(t) && in_nothing(t) && !in_foreign_code(t) && !(bo_load_seq(&t->t.word) & BO_IN) &&
           !on_handler();
}

/* All signals but the one by which libc makes each thread change the process's ids, and waits for each thread. That is
 * the last of the signals that libc reserves, in glibc and in musl. */
static uint64_t all_but_setxid(void)
{
    return ~((uint64_t)1 << (SIGRTMIN - 2));
}

/* Clears the word's bits for calls: there are no senders any more, and signals sent before need no acknowledgement. */
static void answer_all(struct bo_thread *t)
{
    const uint64_t calls = BO_IN | BO_REPEAT | BO_ASYNC | BO_CLOSABLE | BO_SUMMONED | BO_NOTE;
    bo_word_clear(&t->t.word, calls, BO_BY_FREEZE);
}

__attribute__((noreturn)) static void stand_still(struct bo_thread *t, uint32_t frozen)
{
    prctl(PR_SET_NAME, "bough-frozen"); /* for a reader outside the process */
    answer_all(t);
    bo_store_seq(&t->freeze.state, frozen);
    bo_futex_wake(&t->freeze.state, INT_MAX);
    for (;;)
        bo_futex_sleep(&t->freeze.state, frozen, BO_FOREVER);
}

/* Signals are blocked first: otherwise a handler of the program could run on a thread that counts as frozen, or jump
 * out of here. */
static void stop(struct bo_thread *t)
{
    uint64_t all = all_but_setxid(), old = 0;
    uint32_t generation = generation_of(t), request = make_freeze(generation, ASKED);
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, sizeof all);
    if (bo_cas_seq(&t->freeze.state, &request, make_freeze(generation, STOPPING))) {
        BO_HOOK(freeze_claimed);
        bo_lost_prepare(t);
        stand_still(t, make_freeze(generation, FROZEN));
    }
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, sizeof old);
}

void bo_freeze_here(struct bo_thread *t)
{
    stop(t);
}

/* The record is checked last: it may have been cleared since the request. */
void bo_freeze_summoned(struct bo_thread *t, void *context)
{
    if (freeze_is_asked(t) && in_nothing(t) && bo_level_in_closable(t, context) && bo_pending_record(t, true))
        stop(t);
}

int bough_closable_begin(struct bough_region *region, const char *file, int line)
{
    if (bo_level_begin_closable(region, file, line, BO_FRAME()) != 0)
        return -1;
    struct bo_thread *t = bo_self;
    if (bo_unlikely(freeze_is_asked(t)) && bo_freeze_wanted(t) && bo_pending_record(t, true))
        bo_freeze_here(t);
    return 0;
}

/* ---- the warden's side ----------------------------------------------------------------------------------- */

static void dismiss_freeze(struct bo_thread *t, uint32_t generation)
{
    uint64_t w = bo_load_seq(&t->t.word);
    while (bo_word_generation(w) == generation && (w & BO_SUMMONED) &&
           !bo_word_step(&t->t.word, &w, w & ~(uint64_t)BO_SUMMONED, BO_BY_DISMISS))
        ;
}

/* Returns the apparent reason why the thread is not frozen yet: the thread may be changing these fields now. */
__attribute__((no_sanitize("thread"))) static const char *obstacle(const struct bo_thread *t)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (w & (BO_TIMED | BO_OVERRUN))
        return "a critical section is open";
    if (w & BO_DISABLED)
        return "its level is disabled";
    if (*(struct bo_handling *const volatile *)&t->incident.handling)
        return "a handler of the ladder is running";
    if (bo_load_relaxed(&t->call.foreign))
        return "it is in foreign code";
    if (bo_load_relaxed(&t->join.branch) == BO_ROOT)
        return "it exits";
    if (bo_load_relaxed(&t->join.branch) != BO_NONE)
        return "one of its children is still running";
    if (w & (BO_IN | BO_CLOSABLE))
        return "a signal handler is running inside its call or region, or it blocks signals";
    return "it is neither in a bough call nor in a closable region";
}

/* `seen`: the state by which the caller has decided to ask. A state that was loaded here could be FROZEN by now. */
static void ask_to_freeze(struct bo_thread *t, uint32_t generation, uint32_t seen)
{
    if (seen == make_freeze(generation, ASKED))
        return;
    bo_store_relaxed(&t->freeze.asked_at, bo_now());
    bo_cas_seq(&t->freeze.state, &seen, make_freeze(generation, ASKED));
}

/* A thread that has ended meanwhile does not hinder the rung. */
static enum bo_freezing give_freeze_up(struct bo_thread *t, uint32_t generation)
{
    BO_HOOK(freeze_late);
    if (!bo_freeze_withdraw(t, generation))
        return BO_FREEZE_ASKED;
    return bo_target_is(&t->t, generation) ? BO_NOT_SAFE : BO_GONE;
}

enum bo_freezing bo_freeze(struct bo_thread *t, uint32_t generation, const char **why)
{
    *why = "";
    if (!bo_target_is(&t->t, generation))
        return BO_GONE;
    uint32_t seen = bo_load_seq(&t->freeze.state);
    if (seen == make_freeze(generation, FROZEN))
        return BO_FROZEN;
    if (seen == make_freeze(generation, STOPPING))
        return BO_FREEZE_ASKED;
    BO_HOOK(freeze_asks);
    ask_to_freeze(t, generation, seen);
    bo_summon(t, generation);
    *why = obstacle(t);
    if (bo_now() - bo_load_relaxed(&t->freeze.asked_at) < BO_FREEZE_PATIENCE)
        return BO_FREEZE_ASKED;
    return give_freeze_up(t, generation);
}

bool bo_freeze_withdraw(struct bo_thread *t, uint32_t generation)
{
    uint32_t request = make_freeze(generation, ASKED);
    if (!bo_cas_seq(&t->freeze.state, &request, make_freeze(generation, RUNS)) &&
        (request == make_freeze(generation, STOPPING) || request == make_freeze(generation, FROZEN)))
        return false;
    dismiss_freeze(t, generation);
    return true;
}

void bo_freeze_await(const struct bo_thread *t)
{
    uint32_t seen;
    while (((seen = bo_load_seq(&t->freeze.state)) & 3) == STOPPING)
        bo_futex_sleep(&t->freeze.state, seen, BO_FOREVER);
}
