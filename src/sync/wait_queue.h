/* SPDX-License-Identifier: MIT */
/*
 * A queue of waiting threads, first come first served, under the lock of its user (a condition, a queue's
 * getters, its putters).
 *
 *      join, under the lock            call, under the lock
 *   (new) ---------------> IN LINE ---------------------------> CALLED, bo_wait_queue_wait() returns 0
 *                             |
 *                             +-- interrupted or late, under the lock --> (gone), it returns the reason
 *
 * Each waiter is a ticket on its thread's stack, with a futex word. Both ways out of the queue are taken under the
 * lock, so a ticket takes exactly one of them: a called thread returns 0 even if it is interrupted at that moment; a
 * thread that leaves was not called, and can't be called any more. No call is lost, and each call wakes one thread.
 *
 * A ticket may be gone as soon as it is called. Then the wake-up uses only its address, at which there may be another
 * futex by now: that futex gets a spurious wake-up, which each futex has to expect.
 */
#ifndef BO_SYNC_WAIT_QUEUE_H
#define BO_SYNC_WAIT_QUEUE_H

#include "state/undo.h"
#include "sync/sync.h"

struct bough_waiter_ {
    struct bough_waiter_ *next, *before;
    _Atomic uint32_t called;
    int error;  /* set by the thread that calls the waiter: 0, or the error of the waiter's call */
    void *item; /* the item that is handed over, in either direction */
};

/* These three functions are called with the lock held. */
static inline struct bough_waiter_ *bo_wait_queue_first(const struct bough_line_ *line)
{
    return line->first;
}
void bo_wait_queue_join(struct bough_line_ *line, struct bough_waiter_ *waiter);
/* Remove the first waiter, which must exist, from the line. Returns the word to wake, preferably after unlocking. */
const _Atomic uint32_t *bo_wait_queue_call(struct bough_line_ *line, int error);

/* Called after unlocking; `word` may be NULL. */
static inline void bo_wait_queue_wake(const _Atomic uint32_t *word)
{
    if (word)
        bo_futex_wake(word, 1);
}

/* Called without the lock, after joining: 0 if called; otherwise -BO_ECUT or -ETIMEDOUT, and the waiter has left the
 * line. */
long bo_wait_queue_wait(struct bough_line_ *line, struct bough_waiter_ *waiter, struct bo_lock *lock,
                        bough_time deadline, struct bo_undo *undo);
/* Called without the lock: leave the line, if not called. Returns whether the waiter was called. */
bool bo_wait_queue_leave(struct bough_line_ *line, struct bough_waiter_ *waiter, struct bo_lock *lock);

#endif
