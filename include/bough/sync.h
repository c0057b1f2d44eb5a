/* SPDX-License-Identifier: MIT */
/*
 * Mutex, condition, semaphore, event and bounded queue whose waits are interruption points. A wake-up
 * that a waiter has consumed is never lost to an interrupt: a wait that got what it waited for returns 0,
 * one that fails with ECANCELED has taken nothing and has handed on what was meant for it (rules 9, 11).
 *
 *   static bough_sem items = BOUGH_SEM_INIT(0);
 *
 *   while (bough_sem_acquire(&items, 0) == 0)       // a stop ends the loop with ECANCELED
 *       consume();
 *
 * All may be initialised by zero bytes (= {0}) or by their initialisers, need no destruction, live in
 * memory of one process and must not move while in use. Their fields belong to the library. Every wait
 * returns 0; -1 with ECANCELED, or ETIMEDOUT when `deadline` (0: none) passes. The functions marked [point]
 * fail with ECANCELED when an interrupt is due at their entry, also if they would not have to wait; a passed
 * deadline, though, fails only a call that has to. None of them fails with EINTR.
 *
 * The memory of a mutex, semaphore or event may be freed as soon as the program knows that no other call
 * will begin on it; that of a condition or queue, when every call on it has also returned.
 *
 * After fork() the child has one thread. A mutex that this thread held is still its own; what another
 * thread held or waited for is to be initialised anew, as with pthread's objects.
 *
 * The pthread and C11 objects have drop-ins of their own in <bough/calls.h>.
 */
#ifndef BOUGH_SYNC_H
#define BOUGH_SYNC_H

#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
/* Initialisers, for variables in static memory and elsewhere. */
#define BOUGH_MUTEX_INIT      {0, 0, 0, 0}
#define BOUGH_COND_INIT       {0, {0, 0}}
#define BOUGH_SEM_INIT(count) {(uint32_t)(count)}
#define BOUGH_EVENT_INIT      {0}
/* clang-format on */

/* ---- mutex: not recursive, knows its owner ---------------------------------------------------- */
/* One holder at a time. */
typedef struct bough_mutex {
    uint32_t state;
    uintptr_t owner;
    struct bough_mutex *next, **link; /* in the list of those its owner holds */
} bough_mutex;
/* Take it; waits while another thread has it. Also EDEADLK: the caller holds it. EOWNERDEAD: its holder ended without unlocking it; the caller holds it
 * now and must mend what it protects. Unlocking it says that this is done: from then on the mutex is as
 * good as new. It must not be freed while it is held. [point] */
BOUGH_API int bough_mutex_lock(bough_mutex *mutex, bough_time deadline);
/* Take it if it is free. 0, or -1 with EBUSY (held by anybody), EOWNERDEAD (held now, as above). Not a point. */
BOUGH_API int bough_mutex_trylock(bough_mutex *mutex);
/* Give it back. 0, or -1 with EPERM: the caller does not hold it. Not a point. */
BOUGH_API int bough_mutex_unlock(bough_mutex *mutex);

/* ---- condition --------------------------------------------------------------------------------- */
struct bough_waiter_;
struct bough_line_ {
    struct bough_waiter_ *first, *last;
};
/* Waiters in line, for one mutex at a time. */
typedef struct bough_cond {
    uint32_t lock;
    struct bough_line_ line;
} bough_cond;
/*
 * Unlocks the mutex and waits to be notified; only a notification returns 0, nothing else does. The mutex
 * is held again whatever is returned, and taking it back is not interruptible. A notification goes to a
 * waiter that returns 0 by it: one that is cut or late is none any more, and the next in line is woken.
 * Also EPERM: the caller does not hold the mutex. EOWNERDEAD: as for bough_mutex_lock(), when the
 * mutex was taken back; it says nothing about the notification. [point]
 */
BOUGH_API int bough_cond_await(bough_cond *cond, bough_mutex *mutex, bough_time deadline);
/* Wake the one that has waited longest, or all. With or without the mutex held. They return 0. */
BOUGH_API int bough_cond_notify(bough_cond *cond);
BOUGH_API int bough_cond_notify_all(bough_cond *cond);

/* ---- semaphore --------------------------------------------------------------------------------- */
/* A number of tokens, to be taken and given back. */
typedef struct bough_sem {
    uint64_t state __attribute__((aligned(8)));
} bough_sem;
/* Take a token; waits while there is none. [point] */
BOUGH_API int bough_sem_acquire(bough_sem *sem, bough_time deadline);
/* Take a token if there is one. 0, or -1 with EAGAIN. Not a point. */
BOUGH_API int bough_sem_try(bough_sem *sem);
/* Give a token back. 0, or -1 with EOVERFLOW. [signal] */
BOUGH_API int bough_sem_release(bough_sem *sem);

/* ---- event: set once, or set and reset -------------------------------------------------------- */
/* Is set or not. */
typedef struct bough_event_flag {
    uint32_t state;
} bough_event_flag;
/* Wakes all who wait; they return 0 even if the event is reset before they run. [signal] */
BOUGH_API int bough_event_set(bough_event_flag *event);
/* Not set any more. [signal] */
BOUGH_API int bough_event_reset(bough_event_flag *event);
/* 1 or 0. [signal] */
BOUGH_API int bough_event_is_set(const bough_event_flag *event);
/* Wait until it is set. [point] */
BOUGH_API int bough_event_wait(bough_event_flag *event, bough_time deadline);

/* ---- bounded queue of pointers ----------------------------------------------------------------- */
/* Holds up to its capacity of items. */
typedef struct bough_queue bough_queue;
/* NULL with EINVAL (capacity 0) or ENOMEM. To be freed by bough_queue_free(). */
BOUGH_API bough_queue *bough_queue_new(size_t capacity);
/* Frees the queue; `drop` (may be NULL) is called for each item left. Nobody may be using it. */
BOUGH_API void bough_queue_free(bough_queue *queue, void (*drop)(void *item));
/*
 * Put waits for room, get for an item; first come, first served. An item is either still the putter's (put has
 * failed), or in the queue, or with exactly one getter. After bough_queue_close() put fails with
 * EPIPE, those that wait included, and get too once the queue is empty. [point]
 */
BOUGH_API int bough_queue_put(bough_queue *queue, void *item, bough_time deadline);
BOUGH_API int bough_queue_get(bough_queue *queue, void **item, bough_time deadline);
BOUGH_API int bough_queue_close(bough_queue *queue);     /* No item goes in any more. Returns 0, the second time too. */
BOUGH_API size_t bough_queue_length(bough_queue *queue); /* how many items it has now */

#ifdef __cplusplus
}
#endif
#endif
