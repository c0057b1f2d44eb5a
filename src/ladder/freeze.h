/* SPDX-License-Identifier: MIT */
/*
 * A frozen thread stands still indefinitely, in a place where it holds nothing that other threads need (rule 37).
 *
 *             warden: bo_freeze()             the thread: stop()            the thread
 *      RUNS -----------------------> ASKED -----------------------> STOPPING -----------> FROZEN
 *        ^                             |
 *        +---- bo_freeze_withdraw() ---+
 *
 *   RUNS       there is no request. A state that names another generation means the same: a request ends with its
 *              target (rule 6)
 *   ASKED      the thread stops at the next safe place; the warden can still withdraw the request. Both leave this
 *              state by a compare-and-swap: the thread stops or continues, and the warden sees which
 *   STOPPING   all signals are blocked, and the request can't be withdrawn; FROZEN follows after a few steps
 *   FROZEN     no signal is under way to the thread. It never runs again: only now may another thread touch its data
 *
 * Safe places are
 *   - a point that is about to fail (bo_freeze_here), also in a loop that ignores ECANCELED, because records are
 *     sticky; but not a point in foreign code, whose locks are unknown;
 *   - the start of a closable region, and any place in it, by a signal (bo_freeze_summoned): the word has CLOSABLE
 *     and SUMMONED then, and SENT is set in the same step, as rule 13 requires.
 * In both cases no critical section may be open, no handler of the ladder may run, no signal handler may have
 * interrupted the thread or be on its stack, and the library must not be in an operation that has to be finished
 * (bo_busy).
 *
 * The warden repeats the request, and wakes the thread each time, because it may have entered a region meanwhile.
 */
#ifndef BO_LADDER_FREEZE_H
#define BO_LADDER_FREEZE_H

#include "state/arena.h"

enum bo_freezing {
    BO_FREEZE_ASKED, /* no answer yet; `*why` names the apparent reason */
    BO_FROZEN,       /* the thread stands still, and never runs again */
    BO_NOT_SAFE,     /* no safe place was reached within BO_FREEZE_PATIENCE: the request was withdrawn */
    BO_GONE          /* the generation has ended */
};

#ifndef BO_FREEZE_PATIENCE /* -Ddelays=true sets a longer one: its threads are late */
#define BO_FREEZE_PATIENCE BO_MS(500)
#endif

/* Request that a thread freezes, or get the state of the request. Called by the warden, on the ticker's thread. `*why`:
 * static text, if the thread is not frozen. */
enum bo_freezing bo_freeze(struct bo_thread *t, uint32_t generation, const char **why);
/* Withdraw the request. False: too late, the thread is frozen or is about to be. Called by the warden. */
bool bo_freeze_withdraw(struct bo_thread *t, uint32_t generation);
/* Wait until a thread that is about to freeze is frozen. Not for signal handlers. */
void bo_freeze_await(const struct bo_thread *t);

/* Called on the thread, at a point: was the thread requested to freeze, and is it safe to do so here? */
bool bo_freeze_wanted(const struct bo_thread *t);
/* Freeze the calling thread. Returns only if the request was withdrawn meanwhile. */
void bo_freeze_here(struct bo_thread *t);
/* Called on the thread, in the wake signal's handler, with all signals blocked, when a summons has come
 * (bo_ladder_summoned). Returns if it is not safe to freeze here. [signal] */
void bo_freeze_summoned(struct bo_thread *t, void *context);

#endif
