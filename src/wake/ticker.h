/* SPDX-License-Identifier: MIT */
/*
 * The ticker: a library thread that keeps time and completes the work that signal handlers have begun. It has no
 * policy: it fires deadlines, ends budgets and grace periods, and repeats unanswered wakes.
 *
 *   poster, owner --bo_ticker_look(target)--> work list (lock-free) --> ticker --> heap of deadlines
 *
 * A thread that needs the ticker stores its request in the slot first and then calls bo_ticker_look(). The ticker
 * decides from the slot's state alone; an outdated entry has no effect.
 */
#ifndef BO_WAKE_TICKER_H
#define BO_WAKE_TICKER_H

#include "base/clock.h"
#include "state/arena.h"

/* The time within which a wake should be answered; the first interval for repeating it to a thread in a call of
 * libc. */
#define BO_ANSWER_WITHIN BO_MS(50)
#define BO_FIRST_REPEAT 200000

/* Start the ticker unless it runs. Called in ordinary code, before operations that may need it. 0 or -1 (EAGAIN). */
int bo_ticker_need(void);
/* Whether the ticker runs. In a forked child it starts only when it is needed. [signal] */
bool bo_ticker_runs(void);
/* Whether the ticker's thread was killed from outside, for example by a debugger. It counts as not running from then
 * on. Only one caller gets true. [signal] */
bool bo_ticker_is_gone(void);
/* Make the ticker examine a slot at once. [signal] */
void bo_ticker_look(struct bo_target *target);
/* A wake was sent, or an asynchronous region is due: make the ticker check later whether the thread answered.
 * [signal] */
void bo_ticker_watch(struct bo_thread *t);
/* Wake all below a target that a signal handler has marked. [signal] */
void bo_ticker_wake_subtree(struct bo_target *target);
/* Make the ticker examine a branch at its deadline, and not earlier unless needed. */
void bo_ticker_deadline(struct bo_branch *b);
void bo_ticker_after_fork(void);
/* A forked child has no ticker until it needs one. If it has open deadlines, the ticker is started at the first point
 * outside of signal handlers; until then the word of the child's thread has DUE. Returns whether it is still to be
 * started. */
bool bo_ticker_is_awaited(void);
/* Make the ticker examine a slot at `when` on CLOCK_MONOTONIC, or earlier. [signal] */
void bo_ticker_look_by(struct bo_target *target, int64_t when);
/* Make the ticker tick at once, without a slot to examine. [signal] */
void bo_ticker_attend(void);
/* Make the ticker tick at `when` on CLOCK_MONOTONIC, or earlier. [signal] */
void bo_ticker_attend_by(int64_t when);
/* Whether the calling thread is the ticker, which runs no application code and waits for nothing. */
bool bo_ticker_is_me(void);
/* The kernel id of the ticker's thread; 0 if it does not run. */
pid_t bo_ticker_tid(void);

#endif
