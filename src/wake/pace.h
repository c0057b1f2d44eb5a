/* SPDX-License-Identifier: MIT */
/*
 * Pacing: threads that need the same lock to continue, an interpreter's, are woken a few at a time.
 *
 * A thousand threads that are woken at once all wait for that lock, each by a timeout of its own, and keep the
 * processors from those that have it. So a post marks them all, as any threads (rule 4), and wakes the first
 * BO_PACE_MOST. Each of these has a place, and gives it to one whose wake was put off:
 *
 *      poster: DUE --place free?--> SENT, the signal
 *                  \--no--> put_off          --someone gives its place away, or the ticker--> SENT, the signal
 *
 *      woken thread: has the lock (bough_paced()), or its generation ends (bo_retire()) --> its place goes to the next one
 *      ticker: no place is kept for longer than BO_PACE_WITHIN. If no place was given away meanwhile, the threads may not be
 *              waiting for the lock, and it wakes twice as many as the last time: all are awake after a few looks
 *
 * Nothing is lost by it: a thread whose wake was put off is marked, so it meets the interrupt at its next point without
 * a signal; and it is known by its slot, so any thread may look for it, and any may die.
 *
 * A place belongs to the period between two looks of the ticker (`wave`): one that is given away later counts for
 * nothing.
 */
#ifndef BO_WAKE_PACE_H
#define BO_WAKE_PACE_H

#include "state/arena.h"

enum { BO_PACE_MOST = 4 };
#define BO_PACE_WITHIN BO_MS(50)

/* May the thread, which a poster is about to mark, be woken now? If it takes part, true has given it a place.
 * [signal] */
bool bo_pace_enter(struct bo_thread *t);
/* It was not woken after all: there was no need. [signal] */
void bo_pace_leave(struct bo_thread *t);
/* It has to be woken, and may not yet. Between bo_send_begin() and bo_send_end(). [signal] */
void bo_pace_put_off(struct bo_thread *t);
/* On the thread: it has the lock, or ends. [signal] */
void bo_pace_done(struct bo_thread *t);
/* How many slots say `put_off`. */
extern _Atomic uint32_t bo_pace_waiting;
/* By the ticker, at each tick. Returns when to come again, on CLOCK_MONOTONIC. */
int64_t bo_pace_tick(void);
/* In a forked child, which has one thread: `self`, or NULL. */
void bo_pace_after_fork(struct bo_thread *self);

#endif
