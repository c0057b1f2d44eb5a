/* SPDX-License-Identifier: MIT */
#include "two_waiters.h"
#include "many_threads.h"

/* ---- no wake-up is lost ------------------------------------------------------------------------------------------ */

static void lock_here(void *mutex)
{
    CHECK_EQ(bough_mutex_lock(mutex, 0), 0);
}
static void unlock_here(void *mutex)
{
    CHECK_EQ(bough_mutex_unlock(mutex), 0);
}

static int lock_and_unlock(void *mutex)
{
    if (bough_mutex_lock(mutex, 0) != 0)
        return -1;
    return bough_mutex_unlock(mutex);
}

static void check_free(void *mutex)
{
    CHECK_EQ(bough_mutex_trylock(mutex), 0);
    CHECK_EQ(bough_mutex_unlock(mutex), 0);
}

TEST_LIMIT(an_interrupted_waiter_consumes_no_wake, 600)
{
    static bough_mutex mutex;
    static const struct duel duel = {lock_and_unlock, lock_here, NULL, unlock_here, true, check_free};
    fight(&duel, &mutex);
}

/* ---- ownership is neither lost nor given to two threads ---------------------------------------------------------- */

struct guarded {
    bough_mutex mutex;
    long count;
    struct storm_thread *holder;
};

static void count_up(struct storm_thread *self)
{
    struct guarded *g = self->object;
    if (!storm_done(self, bough_mutex_lock(&g->mutex, 0)))
        return;
    CHECK_EQ(g->holder, NULL);
    g->holder = self;
    g->count++;
    if (t_random(&self->random) % 8 == 0)
        pause_at_random(&self->random);
    g->holder = NULL;
    self->done++;
    CHECK_EQ(bough_mutex_unlock(&g->mutex), 0);
}

TEST_LIMIT(a_counter_under_the_mutex_is_exact, 600)
{
    static struct guarded g;
    static struct storm storm;
    widen_window();
    for (int i = 0; i < 4; i++)
        storm_add(&storm, count_up, &g);
    storm_rage(&storm);
    storm_calm(&storm);
    storm_end(&storm);
    long done = 0;
    for (int i = 0; i < storm.count; i++)
        done += storm.thread[i].done;
    CHECK_EQ(g.count, done);
    check_free(&g.mutex);
}

/* ---- the same while owners end without unlocking ----------------------------------------------------------------- */

static void *lock_and_die(void *mutex)
{
    int result = bough_mutex_lock(mutex, 0);
    return (void *)(intptr_t)(result == -1 && errno == EOWNERDEAD);
}

static void mend(struct storm_thread *self)
{
    struct guarded *g = self->object;
    int result = bough_mutex_lock(&g->mutex, 0);
    bool dead = result == -1 && errno == EOWNERDEAD;
    if (!dead && !storm_done(self, result))
        return;
    g->count += dead;
    self->done++;
    CHECK_EQ(bough_mutex_unlock(&g->mutex), 0);
}

TEST_LIMIT(each_dead_owner_is_reported_once, 600)
{
    static struct guarded g;
    static struct storm storm;
    long deaths = t_loss() / 10 + 1, noticed = 0;
    uint64_t random = t_seed();
    widen_window();
    for (int i = 0; i < 2; i++)
        storm_add(&storm, mend, &g);
    for (long i = 0; i < deaths; i++) {
        struct t_thread mortal;
        t_spawn(&mortal, lock_and_die, &g.mutex);
        bough_interrupt(storm.thread[i % 2].self, "storm");
        pause_at_random(&random);
        noticed += t_join(&mortal) != NULL; /* the next owner got EOWNERDEAD */
    }
    storm_calm(&storm);
    storm_end(&storm);
    CHECK_EQ(g.count + noticed, deaths);
    check_free(&g.mutex);
}
