/* SPDX-License-Identifier: MIT */
/*
 * Mutex, condition, semaphore, event and bounded queue whose waits are interruption points. An interrupt never loses
 * a wake-up: a wait that has taken its item or token returns 0; a wait that fails with ECANCELED has taken nothing,
 * and its wake-up has gone to the next waiter (rules 9, 11).
 *
 *   static bough_sem items = BOUGH_SEM_INIT(0);
 *
 *   while (bough_sem_acquire(&items, 0) == 0)       // a stop ends the loop with ECANCELED
 *       consume();
 *
 * All may be initialised by zero bytes (= {0}) or by their initialisers, need no destruction, live in memory of one
 * process and must not move while in use. Their fields belong to the library. Every wait returns 0; -1 with
 * ECANCELED, or ETIMEDOUT when `deadline` (0: none) passes. The functions marked [point] fail with ECANCELED if an
 * interrupt is due at their entry, even if they would not have to wait. If the deadline has passed, a call fails only
 * if it would have to wait. None of them fails with EINTR.
 *
 * The memory of a mutex, semaphore or event may be freed as soon as the program knows that no other call
 * will begin on it; that of a condition or queue, when every call on it has also returned.
 *
 * After fork() the child has one thread. That thread still holds its mutexes; objects that another thread held or
 * waited for have to be initialised again, as with pthread's objects.
 *
 * <bough/calls.h> has drop-ins for the calls on pthread and C11 objects.
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

/* ---- mutex: not recursive, records its owner -------------------------------------------------- */
/* One holder at a time. */
typedef struct bough_mutex {
    uint32_t state;
    uintptr_t owner;
    struct bough_mutex *next, **link; /* in the list of the mutexes that the owner holds */
} bough_mutex;
/* Take the mutex; waits while another thread holds it. Also EDEADLK: the caller holds it. EOWNERDEAD: its holder
 * ended without unlocking it; the caller holds it now and must repair the data that it protects. After it has
 * unlocked the mutex, the mutex is usable as before. It must not be freed while it is held. [point] [rules 9 and 11] */
BOUGH_API int bough_mutex_lock(bough_mutex *mutex, bough_time deadline);
/* Take the mutex if it is free. Returns 0; -1 with EBUSY (it is held), EOWNERDEAD (held now, as above). Not an
 * interruption point. */
BOUGH_API int bough_mutex_trylock(bough_mutex *mutex);
/* Unlock the mutex. Returns 0; -1 with EPERM: the caller does not hold it. Not an interruption point. */
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
 * Unlocks the mutex and waits for a notification; only a notification makes the call return 0. The mutex is held
 * again whatever the result is, and the wait for it is not interruptible. A notification goes to a waiter that
 * returns 0 for it: if a waiter is interrupted or its deadline passes, the next waiter in line is woken. Also EPERM:
 * the caller does not hold the mutex. EOWNERDEAD: as for bough_mutex_lock(), when the mutex was taken back, with or
 * without a notification. [point] [rules 9 and 11]
 */
BOUGH_API int bough_cond_await(bough_cond *cond, bough_mutex *mutex, bough_time deadline);
/* Wake the thread that has waited longest, or all. The caller may hold the mutex, but need not. Both return 0. */
BOUGH_API int bough_cond_notify(bough_cond *cond);
BOUGH_API int bough_cond_notify_all(bough_cond *cond);

/* ---- semaphore --------------------------------------------------------------------------------- */
/* A number of tokens, which threads take and release. */
typedef struct bough_sem {
    uint64_t state __attribute__((aligned(8)));
} bough_sem;
/* Take a token; waits while there is none. [point] [rules 9 and 11] */
BOUGH_API int bough_sem_acquire(bough_sem *sem, bough_time deadline);
/* Take a token if there is one. Returns 0; -1 with EAGAIN. Not an interruption point. */
BOUGH_API int bough_sem_try(bough_sem *sem);
/* Release a token. Returns 0; -1 with EOVERFLOW. [signal] */
BOUGH_API int bough_sem_release(bough_sem *sem);

/* ---- event: set once, or set and reset -------------------------------------------------------- */
/* An event, which is set or not. */
typedef struct bough_event_flag {
    uint32_t state;
} bough_event_flag;
/* Set the event and wake all waiting threads; they return 0 even if the event is reset before they run. [signal] */
BOUGH_API int bough_event_set(bough_event_flag *event);
/* Reset the event. [signal] */
BOUGH_API int bough_event_reset(bough_event_flag *event);
/* Returns 1 if the event is set, else 0. [signal] */
BOUGH_API int bough_event_is_set(const bough_event_flag *event);
/* Wait until the event is set. [point] [rules 9 and 11] */
BOUGH_API int bough_event_wait(bough_event_flag *event, bough_time deadline);

/* ---- bounded queue of pointers ----------------------------------------------------------------- */
/* Holds up to its capacity of items. */
typedef struct bough_queue bough_queue;
/* Make a queue. Returns NULL with EINVAL (capacity 0) or ENOMEM. Free it by bough_queue_free(). */
BOUGH_API bough_queue *bough_queue_new(size_t capacity);
/* Frees the queue; `drop` (may be NULL) is called for each item left. No thread may be using the queue. */
BOUGH_API void bough_queue_free(bough_queue *queue, void (*drop)(void *item));
/*
 * Put waits for room, get for an item; threads are served in the order in which they called. An item belongs to the
 * caller, if put has failed; to the queue; or to exactly one caller of get. After bough_queue_close() put fails with
 * EPIPE, also in threads that wait, and so does get once the queue is empty. [point] [rules 9 and 11]
 */
BOUGH_API int bough_queue_put(bough_queue *queue, void *item, bough_time deadline);
BOUGH_API int bough_queue_get(bough_queue *queue, void **item, bough_time deadline);
BOUGH_API int bough_queue_close(bough_queue *queue);     /* Close the queue. Returns 0, also if it is closed already. */
BOUGH_API size_t bough_queue_length(bough_queue *queue); /* the number of items in the queue */

#ifdef __cplusplus
}
#endif
#endif
