/* SPDX-License-Identifier: MIT */
/*
 * Freezing a thread: it stands still from then on, in a place where no other thread needs what it holds (rule 37).
 *
 *             warden: bo_freeze()             the thread: stop()            the thread
 *      RUNS -----------------------> ASKED -----------------------> STOPPING -----------> FROZEN
 *        ^                             |
 *        +---- bo_freeze_withdraw() ---+
 *
 *   RUNS       there is no request. A state that names another generation means the same: a request ends with its target (rule 6)
 *   ASKED      the thread stops where it comes by a safe place; the warden can still take it back. Both leave this state
 *              by a compare-and-swap: a thread stops or goes on, and the warden knows which
 *   STOPPING   all signals are blocked, and it can't be taken back; a few steps to the next
 *   FROZEN     no signal is under way to it. It never runs again: only now may another thread
 *              touch its data
 *
 * Safe is
 *   - a point that is about to fail (bo_freeze_here), also in a loop that ignores ECANCELED: records are sticky; but not a point
 *     in foreign code, whose locks are unknown;
 *   - the begin of a closable region, and any place in it, by a signal (bo_freeze_summoned): the word says CLOSABLE and
 *     SUMMONED then, and SENT in the same step, as rule 13 asks;
 * and in both, only with no critical section open, no handler of the ladder's running, no signal handler on top or
 * below, and the library in the middle of nothing (bo_busy).
 *
 * The warden asks repeatedly, and wakes the thread each time: it may have entered a region meanwhile.
 */
#ifndef BO_LADDER_FREEZE_H
#define BO_LADDER_FREEZE_H

#include "state/arena.h"

enum bo_freezing {
    BO_FREEZE_ASKED, /* no answer yet; `*why` says what it seems to wait for */
    BO_FROZEN,       /* it stands still for good */
    BO_NOT_SAFE,     /* it has met no safe place for BO_FREEZE_PATIENCE: the request is taken back */
    BO_GONE          /* the generation has ended */
};

#define BO_FREEZE_PATIENCE BO_MS(500)

/* Ask a thread to freeze, or ask how it stands. By the warden, on the ticker's thread. `*why`: static text, if it is
 * not frozen. */
enum bo_freezing bo_freeze(struct bo_thread *t, uint32_t generation, const char **why);
/* Take the request back. False: too late, it stands still, or will in a moment. By the warden. */
bool bo_freeze_withdraw(struct bo_thread *t, uint32_t generation);
/* Wait until a thread that is about to stand still does. In ordinary code. */
void bo_freeze_await(const struct bo_thread *t);

/* On the thread, at a point: is it asked to, and may it? */
bool bo_freeze_wanted(const struct bo_thread *t);
/* Then do. Comes back only if the request was taken back meanwhile. */
void bo_freeze_here(struct bo_thread *t);
/* On the thread, in the wake signal's handler, all signals blocked: a summons has come (bo_ladder_summoned). Comes back
 * if this is no safe place. [signal] */
void bo_freeze_summoned(struct bo_thread *t, void *context);

#endif
