/* SPDX-License-Identifier: MIT */
/*
 * Pacing: threads that need the same lock to continue (an interpreter's) are woken a few at a time.
 *
 * A thousand threads that are woken at once all wait for that lock with timeouts, and take processor time from the
 * thread that holds it. So a post marks them all, as any threads (rule 4), but wakes only the first BO_PACE_MOST. Each
 * of these has a place, and passes it on to a thread whose wake was put off:
 *
 *      poster: DUE --place free?--> SENT, the signal
 *                  \--no--> put_off          --another thread frees its place, or the ticker--> SENT, the signal
 *
 *      woken thread: has the lock (bough_paced()), or its generation ends (bo_retire()) --> passes its place on
 *      ticker: no place is kept for longer than BO_PACE_WITHIN. If no place was passed on meanwhile, the threads may be
 *              waiting for something else, and it wakes twice as many as the last time: soon all are awake
 *
 * No interrupt is lost: a thread whose wake was put off is marked, so it meets the interrupt at its next point without
 * a signal. Its slot records the delay, so any thread can find it, and any thread may end.
 *
 * A place belongs to the period between two ticks (`wave`): passing it on later has no effect.
 */
#ifndef BO_WAKE_PACE_H
#define BO_WAKE_PACE_H

#include "state/arena.h"

enum { BO_PACE_MOST = 4 };
#define BO_PACE_WITHIN BO_MS(50)

/* Whether the thread, which a poster is about to mark, may be woken now. A paced thread then has a place. [signal] */
bool bo_pace_enter(struct bo_thread *t);
/* Free the place of a thread that did not need to be woken. [signal] */
void bo_pace_leave(struct bo_thread *t);
/* Put off the wake of a thread that waits. Called with all signals blocked. [signal] */
void bo_pace_put_off(struct bo_thread *t);
/* Pass the thread's place on. Called on the thread when it has the lock, or ends. [signal] */
void bo_pace_done(struct bo_thread *t);
/* The number of slots with `put_off` set. */
extern _Atomic uint32_t bo_pace_waiting;
/* Called by the ticker, at each tick. Returns the time of the next call, on CLOCK_MONOTONIC. */
int64_t bo_pace_tick(void);
/* In a forked child, which has one thread: `self`, or NULL. */
void bo_pace_after_fork(struct bo_thread *self);

#endif
