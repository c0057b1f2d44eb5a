/* SPDX-License-Identifier: MIT */
/*
 * The ticker: one thread of the library that keeps time and completes the work that a signal handler
 * has begun. It has no policy: it fires deadlines, ends budgets and graces, repeats unanswered wakes.
 *
 *   poster, owner --bo_ticker_look(target)--> work list (lock-free) --> ticker --> heap of deadlines
 *
 * A thread that needs the ticker stores its request in the slot first and then calls bo_ticker_look().
 * The ticker decides from the slot's state alone; an entry that is no longer true does nothing.
 */
#ifndef BO_WAKE_TICKER_H
#define BO_WAKE_TICKER_H

#include "base/clock.h"
#include "state/arena.h"

/* How long a wake has to be answered; how soon one is repeated to a thread in a call of libc's. */
#define BO_ANSWER_WITHIN BO_MS(50)
#define BO_FIRST_REPEAT 200000

/* Make sure the ticker runs; from ordinary code, before anything that may need it. 0 or -1 (EAGAIN). */
int bo_ticker_need(void);
/* Whether it does. Not in a forked child, until it is needed. [signal] */
bool bo_ticker_runs(void);
/* Its thread was ended from outside, by a debugger perhaps: from now on it does not run. True for one caller.
 * [signal] */
bool bo_ticker_is_gone(void);
/* Have the ticker look at a slot at once. [signal] */
void bo_ticker_look(struct bo_target *target);
/* A wake was sent, or an asynchronous region is due: look after a while whether it was answered. [signal] */
void bo_ticker_watch(struct bo_thread *t);
/* Wake all below a target that a signal handler has marked. [signal] */
void bo_ticker_wake_subtree(struct bo_target *target);
/* Have it look at a branch when its deadline comes, and not before unless needed. */
void bo_ticker_deadline(struct bo_branch *b);
void bo_ticker_after_fork(void);
/* A forked child has one thread, and keeps that until it needs another: its open deadlines wait for the first point at
 * which it may start one, not in a signal handler. Until then the word of its thread says DUE. */
bool bo_ticker_is_awaited(void);
/* Have it look at a slot by `when` on CLOCK_MONOTONIC at the latest. [signal] */
void bo_ticker_look_by(struct bo_target *target, int64_t when);
/* Have it tick at once, without a slot to look at. [signal] */
void bo_ticker_attend(void);
/* The same by `when` on CLOCK_MONOTONIC. [signal] */
void bo_ticker_attend_by(int64_t when);
/* Is this the ticker's thread? It runs nothing of the program's and waits for nothing. */
bool bo_ticker_is_me(void);
/* The kernel's id of its thread; 0 if it does not run. */
pid_t bo_ticker_tid(void);

#endif
