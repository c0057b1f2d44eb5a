/* SPDX-License-Identifier: MIT */
/*
 * Condition: a queue of tickets (wait_queue.h) and a lock for it.
 *
 * A waiter joins the queue before it unlocks the mutex, so that a notification made under the mutex after that finds
 * it. notify() calls only the first waiter in the queue, if there is one, which then returns 0. An interrupted waiter
 * has left the queue, under its lock, before it returns, so a notification that it could have consumed goes to the
 * next waiter.
 *
 * A sequence number in place of the tickets would be smaller, and was the first design. But a waiter that is
 * interrupted after a notification could not determine whether it has consumed the kernel's wake-up, and later waiters
 * could consume notifications for earlier ones.
 */
#include "sync/mutex.h"
#include "sync/wait_queue.h"
#include "thread/call.h"

static struct bo_lock *lock_of(bough_cond *cond)
{
    return (struct bo_lock *)(void *)&cond->lock;
}

struct awaiting {
    struct bo_undo undo;
    struct bough_waiter_ me;
    bough_cond *cond;
    bough_mutex *mutex;
};

/* Called when a jump or an exception leaves the wait: passes a notification on to the next waiter, and locks the mutex,
 * as each end of a wait does. */
static void abandon_cond(struct bo_undo *undo)
{
    struct awaiting *a = (struct awaiting *)undo;
    if (bo_wait_queue_leave(&a->cond->line, &a->me, lock_of(a->cond)))
        bough_cond_notify(a->cond);
    bo_mutex_relock(a->mutex);
}

int bough_cond_await(bough_cond *cond, bough_mutex *mutex, bough_time deadline)
{
    if (!bo_mutex_is_mine(mutex))
        return (int)bo_result(-EPERM);
    if (bough_check() != 0)
        return -1;
    struct awaiting a = {.undo = {.run = abandon_cond}, .cond = cond, .mutex = mutex};
    bo_lock(lock_of(cond));
    bo_wait_queue_join(&cond->line, &a.me);
    bo_unlock(lock_of(cond));
    bough_mutex_unlock(mutex);
    long r = bo_wait_queue_wait(&cond->line, &a.me, lock_of(cond), deadline, &a.undo);
    int error = bo_mutex_relock(mutex);
    return (int)bo_result(error ? -error : r);
}

int bough_cond_notify(bough_cond *cond)
{
    bo_lock(lock_of(cond));
    const _Atomic uint32_t *word = bo_wait_queue_first(&cond->line) ? bo_wait_queue_call(&cond->line, 0) : NULL;
    bo_unlock(lock_of(cond));
    bo_wait_queue_wake(word);
    return 0;
}

int bough_cond_notify_all(bough_cond *cond)
{
    bo_lock(lock_of(cond));
    while (bo_wait_queue_first(&cond->line))
        bo_wait_queue_wake(bo_wait_queue_call(&cond->line, 0));
    bo_unlock(lock_of(cond));
    return 0;
}
