/* SPDX-License-Identifier: MIT */
#include "worker.h"

enum { CONTENDED = 2 }; /* the state of a mutex for which a thread waits */

struct room {
    bough_mutex mutex;
    bough_cond cond;
    int waiting; /* the number of threads in await_notice() */
    int woken;   /* the number of waits that returned 0 */
    int order[8];
    int64_t timeout;
};

static int await_notice(void *argument)
{
    struct room *r = argument;
    CHECK_EQ(bough_mutex_lock(&r->mutex, 0), 0);
    int number = r->waiting++;
    int result = bough_cond_await(&r->cond, &r->mutex, r->timeout ? bough_after(r->timeout) : 0), error = errno;
    r->waiting--;
    if (result == 0)
        r->order[r->woken++] = number;
    CHECK_EQ(bough_mutex_unlock(&r->mutex), 0); /* the mutex is held again, whatever the result */
    errno = error;
    return result;
}

/* Each waiter is in the wait queue when this returns. */
static void start_waiters(struct worker *w, int count, struct room *r)
{
    for (int i = 0; i < count; i++)
        w_start_blocked(&w[i], await_notice, r);
}

static int woken(struct room *r)
{
    CHECK_EQ(bough_mutex_lock(&r->mutex, 0), 0);
    int count = r->woken;
    bough_mutex_unlock(&r->mutex);
    return count;
}

TEST(notify_wakes_one_waiter_in_order)
{
    struct room r = {0};
    struct worker w[3];
    start_waiters(w, 3, &r);
    for (int i = 0; i < 3; i++) {
        for (int j = i; j < 3; j++)
            t_until_blocked(w[j].thread.tid);
        CHECK_EQ(woken(&r), i);
        CHECK_EQ(bough_cond_notify(&r.cond), 0);
        CHECK_EQ(w_end(&w[i]), 0);
        CHECK_EQ(r.order[i], i);
    }
}

TEST(notify_all_wakes_all)
{
    struct room r = {0};
    struct worker w[4];
    start_waiters(w, 4, &r);
    CHECK_EQ(bough_cond_notify_all(&r.cond), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(w_end(&w[i]), 0);
}

TEST(a_notification_without_waiters_is_not_kept)
{
    struct room r = {.timeout = BOUGH_MS(20)};
    struct worker w;
    bough_cond_notify(&r.cond);
    bough_cond_notify_all(&r.cond);
    w_start(&w, await_notice, &r);
    CHECK_EQ(w_end(&w), -1);
    CHECK_EQ(w.error, ETIMEDOUT);
}

TEST(a_wait_ends_at_its_deadline)
{
    bough_mutex mutex = BOUGH_MUTEX_INIT;
    bough_cond cond = BOUGH_COND_INIT;
    bough_mutex_lock(&mutex, 0);
    CHECK_ENDS_AT_DEADLINE(bough_cond_await(&cond, &mutex, deadline));
    CHECK_ERR(bough_cond_await(&cond, &mutex, -1), ETIMEDOUT);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
}

TEST(the_mutex_must_be_held)
{
    bough_mutex mutex = {0};
    bough_cond cond = {0};
    CHECK_ERR(bough_cond_await(&cond, &mutex, 0), EPERM);
}

TEST(an_interrupted_waiter_holds_the_mutex)
{
    struct room r = {0};
    struct worker w;
    w_start_blocked(&w, await_notice, &r);
    w_end_cut(&w);
    CHECK_EQ(r.waiting, 0);
    CHECK_EQ(r.woken, 0);
}

TEST(an_interrupted_waiter_returns_only_with_the_mutex)
{
    struct room r = {0};
    struct worker w;
    w_start_blocked(&w, await_notice, &r);
    bough_mutex_lock(&r.mutex, 0);
    w_cut(&w);
    t_until_blocked(w.thread.tid); /* it waits for the mutex, and no interrupt ends that wait */
    CHECK_EQ(r.waiting, 1);
    CHECK_EQ(bough_interrupt(w.self, "again"), 0);
    t_until_blocked(w.thread.tid);
    bough_mutex_unlock(&r.mutex);
    CHECK_EQ(w_end(&w), -1);
    CHECK_EQ(w.error, ECANCELED);
}

TEST(await_is_a_point_without_a_wait)
{
    bough_mutex mutex = {0};
    bough_cond cond = {0};
    bough_mutex_lock(&mutex, 0);
    bough_interrupt(bough_self(), "test");
    CHECK_ERR(bough_cond_await(&cond, &mutex, 0), ECANCELED);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    bough_clear(NULL);
}

/* Notified and interrupted before the waiter runs: it has consumed the notification, and returns 0. */
TEST(a_notified_waiter_returns_0_even_if_it_is_interrupted)
{
    struct room r = {0};
    struct worker w;
    w_start_blocked(&w, await_notice, &r);
    bough_mutex_lock(&r.mutex, 0);
    bough_cond_notify(&r.cond);
    w_cut(&w);
    bough_mutex_unlock(&r.mutex);
    CHECK_EQ(w_end(&w), 0);
}

/* Interrupted and then notified: the notification goes to the next waiter. */
TEST(a_notification_after_the_interrupt_goes_to_the_next_waiter)
{
    struct room r = {0};
    struct worker cut, next;
    w_start_blocked(&cut, await_notice, &r);
    w_start_blocked(&next, await_notice, &r);
    bough_mutex_lock(&r.mutex, 0);
    w_cut(&cut);
    /* It has left the wait queue and waits for the mutex: it has not returned yet. */
    t_until(__atomic_load_n(&r.mutex.state, __ATOMIC_RELAXED) == CONTENDED);
    bough_cond_notify(&r.cond);
    bough_mutex_unlock(&r.mutex);
    CHECK_EQ(w_end(&cut), -1);
    CHECK_EQ(w_end(&next), 0);
}

static int lock_and_end(void *argument)
{
    struct room *r = argument;
    CHECK_EQ(bough_mutex_lock(&r->mutex, 0), 0);
    return bough_cond_notify(&r->cond);
}

TEST(an_ended_owner_is_reported)
{
    struct room r = {0};
    struct worker w, owner;
    w_start_blocked(&w, await_notice, &r);
    w_start(&owner, lock_and_end, &r);
    CHECK_EQ(w_end(&owner), 0);
    CHECK_EQ(w_end(&w), -1);
    CHECK_EQ(w.error, EOWNERDEAD);
    CHECK_EQ(bough_mutex_lock(&r.mutex, 0), 0); /* await_notice() has unlocked it */
    bough_mutex_unlock(&r.mutex);
}
