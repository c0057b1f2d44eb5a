/* SPDX-License-Identifier: MIT */
#include "two_waiters.h"
#include "many_threads.h"

/* ---- no notification is lost ------------------------------------------------------------------------------------- */

struct room {
    bough_mutex mutex;
    bough_cond cond;
    int waiting;
};

static int await_notice(void *object)
{
    struct room *r = object;
    CHECK_EQ(bough_mutex_lock(&r->mutex, 0), 0);
    r->waiting++;
    int result = bough_cond_await(&r->cond, &r->mutex, 0), error = errno;
    r->waiting--;
    CHECK_EQ(bough_mutex_unlock(&r->mutex), 0);
    errno = error;
    return result;
}

static int waiting(struct room *r)
{
    CHECK_EQ(bough_mutex_lock(&r->mutex, 0), 0);
    int count = r->waiting;
    CHECK_EQ(bough_mutex_unlock(&r->mutex), 0);
    return count;
}

/* Counted under the mutex: a thread that is counted is in the wait queue. */
static void both_wait(void *object)
{
    t_until(waiting(object) == 2);
}

static void notify(void *object)
{
    CHECK_EQ(bough_cond_notify(&((struct room *)object)->cond), 0);
}

static void check_empty(void *object)
{
    struct room *r = object;
    CHECK_EQ(r->waiting, 0);
    CHECK_EQ(r->cond.line.first, NULL);
    CHECK_EQ(r->cond.line.last, NULL);
}

TEST_LIMIT(an_interrupted_waiter_consumes_no_notification, 600)
{
    static struct room room;
    static const struct duel duel = {await_notice, NULL, both_wait, notify, false, check_empty};
    fight(&duel, &room);
}

/* ---- each notification wakes exactly one ------------------------------------------------------------------------- */

struct hall {
    bough_mutex mutex;
    bough_cond cond;
    int patient; /* certainly in the wait queue, because these threads are never interrupted */
    long notified, woken;
};

static void wait_a_turn(struct storm_thread *self)
{
    struct hall *h = self->object;
    if (!storm_done(self, bough_mutex_lock(&h->mutex, 0)))
        return;
    h->patient += self->spared;
    int result = bough_cond_await(&h->cond, &h->mutex, 0), error = errno;
    h->patient -= self->spared;
    h->woken += result == 0;
    self->done += result == 0;
    CHECK_EQ(bough_mutex_unlock(&h->mutex), 0);
    errno = error;
    storm_done(self, result);
}

/* One notification at a time, and only while a thread certainly waits: so it has to reach exactly one thread. */
static void notify_one(struct storm_thread *self)
{
    struct hall *h = self->object;
    if (!storm_done(self, bough_mutex_lock(&h->mutex, 0)))
        return;
    if (h->patient > 0 && h->woken == h->notified) {
        h->notified++;
        bough_cond_notify(&h->cond);
    }
    self->done++;
    CHECK_EQ(bough_mutex_unlock(&h->mutex), 0);
    pause_at_random(&self->random);
}

TEST_LIMIT(each_notification_wakes_one, 600)
{
    static struct hall h;
    static struct storm storm;
    widen_window();
    storm_add(&storm, notify_one, &h);
    for (int i = 0; i < 5; i++)
        storm_add_spared(&storm, wait_a_turn, &h, i < 2);
    storm_rage(&storm);
    storm_calm(&storm); /* the notifier would wait indefinitely after a notification that reached no thread */
    storm_end(&storm);
    CHECK(h.woken == h.notified || h.woken + 1 == h.notified);
    CHECK_EQ(h.cond.line.first, NULL);
    t_note("%ld notifications", h.notified);
}
