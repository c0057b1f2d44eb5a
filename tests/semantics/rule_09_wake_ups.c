/* SPDX-License-Identifier: MIT */
/* Rule 9, tokens and wake-ups: each is consumed by one waiter or stays available, even if an interrupt comes at the
 * same time. */
#include "target.h"

#include <semaphore.h>
#include <sys/syscall.h>

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

struct race {
    sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bough_thread *thread;
    long taken, cuts, rounds;
    uint32_t posted, over;
};

static void *take_tokens(void *argument)
{
    struct race *r = argument;
    __atomic_store_n(&r->thread, bough_self(), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&r->over, __ATOMIC_ACQUIRE)) {
        if (bough_sem_wait(&r->semaphore) == 0) {
            r->taken++;
            continue;
        }
        CHECK_EQ(errno, ECANCELED);
        r->cuts++;
        bough_clear(NULL);
    }
    bough_clear(NULL);
    return NULL;
}

static void linger(int turns)
{
    for (volatile int spin = 0; spin < turns; spin++) {
    }
}

static void *post_tokens(void *argument)
{
    struct race *r = argument;
    for (long i = 0; i < r->rounds; i++) {
        CHECK_EQ(sem_post(&r->semaphore), 0);
        linger(3000);
    }
    __atomic_store_n(&r->posted, 1, __ATOMIC_RELEASE);
    return NULL;
}

TEST_LIMIT(no_token_is_lost, 60)
{
    struct race r = {.rounds = t_loss()};
    struct t_thread taker, poster;
    int left;
    CHECK_EQ(sem_init(&r.semaphore, 0, 0), 0);
    t_spawn(&taker, take_tokens, &r);
    t_until(__atomic_load_n(&r.thread, __ATOMIC_ACQUIRE));
    t_spawn(&poster, post_tokens, &r);
    do {
        CHECK_EQ(bough_interrupt(r.thread, NULL), 0);
        linger(2000);
    } while (!__atomic_load_n(&r.posted, __ATOMIC_ACQUIRE));
    t_join(&poster);
    __atomic_store_n(&r.over, 1, __ATOMIC_RELEASE);
    bough_interrupt(r.thread, NULL); /* unless the thread has ended already */
    t_join(&taker);
    CHECK_EQ(sem_getvalue(&r.semaphore, &left), 0);
    CHECK_EQ(r.taken + left, r.rounds);
    t_note("%ld tokens, %ld cuts", r.rounds, r.cuts);
    sem_destroy(&r.semaphore);
}

/* ---- conditions: a waiter consumes the wake-up ------------------------------------------------------------------- */

struct waiter {
    struct race *race;
    bough_thread *thread;
    int waits, back, result;
};

static void *wait_on_cond(void *argument)
{
    struct waiter *w = argument;
    __atomic_store_n(&w->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_lock(&w->race->mutex), 0);
    __atomic_store_n(&w->waits, 1, __ATOMIC_RELEASE);
    w->result = bough_pthread_cond_wait(&w->race->cond, &w->race->mutex);
    __atomic_store_n(&w->back, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_unlock(&w->race->mutex), 0);
    bough_clear(NULL);
    return NULL;
}

static void until_waiting(struct waiter *w, struct t_thread *thread)
{
    t_spawn(thread, wait_on_cond, w);
    t_until(__atomic_load_n(&w->waits, __ATOMIC_ACQUIRE));
    /* the waiter has released the mutex: it waits for the condition */
    CHECK_EQ(pthread_mutex_lock(&w->race->mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&w->race->mutex), 0);
}

/* One waiter is interrupted and one signal is sent, in either order: if one is interrupted, the other gets the
 * signal. */
static void signal_and_interrupt(struct race *r, int signal_first)
{
    struct waiter one = {.race = r}, other = {.race = r};
    struct t_thread threads[2];
    until_waiting(&one, &threads[0]);
    until_waiting(&other, &threads[1]);
    CHECK_EQ(pthread_mutex_lock(&r->mutex), 0);
    if (signal_first)
        CHECK_EQ(pthread_cond_signal(&r->cond), 0);
    CHECK_EQ(bough_interrupt(one.thread, NULL), 0);
    if (!signal_first)
        CHECK_EQ(pthread_cond_signal(&r->cond), 0);
    CHECK_EQ(pthread_mutex_unlock(&r->mutex), 0);
    t_until(__atomic_load_n(&one.back, __ATOMIC_ACQUIRE));
    CHECK(one.result == 0 || one.result == ECANCELED);
    if (one.result == ECANCELED)
        t_until(__atomic_load_n(&other.back, __ATOMIC_ACQUIRE));
    CHECK_EQ(pthread_cond_broadcast(&r->cond), 0);
    t_join(&threads[0]);
    t_join(&threads[1]);
    CHECK_EQ(other.result, 0);
}

TEST_LIMIT(no_wake_up_is_lost, 60)
{
    struct race r = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    for (int i = 0; i < 100; i++)
        signal_and_interrupt(&r, i & 1);
}

static void make_robust(struct race *r)
{
    void *list;
    size_t size;
    if (syscall(SYS_get_robust_list, 0, &list, &size) != 0)
        SKIP("no robust mutexes here: %s", strerror(errno));
    pthread_mutexattr_t attributes;
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_EQ(pthread_mutex_init(&r->mutex, &attributes), 0);
    CHECK_EQ(pthread_cond_init(&r->cond, NULL), 0);
}

static void *wait_robustly(void *argument)
{
    struct waiter *w = argument;
    __atomic_store_n(&w->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_lock(&w->race->mutex), 0);
    w->result = bough_pthread_cond_wait(&w->race->cond, &w->race->mutex);
    CHECK_EQ(pthread_mutex_consistent(&w->race->mutex), 0); /* EINVAL if the mutex were not held and owner-dead */
    CHECK_EQ(bough_pthread_cond_wait(&w->race->cond, &w->race->mutex), ECANCELED);
    CHECK_EQ(pthread_mutex_unlock(&w->race->mutex), 0);
    bough_clear(NULL);
    return NULL;
}

static void *die_with_mutex(void *argument)
{
    struct race *r = argument;
    CHECK_EQ(pthread_mutex_lock(&r->mutex), 0);
    CHECK_EQ(bough_interrupt(r->thread, NULL), 0);
    return NULL;
}

/* The mutex comes first, and its error is EOWNERDEAD; the interrupt is delivered at the next point. */
TEST(owner_dead_wins)
{
    struct race r = {.rounds = 0};
    struct waiter w = {.race = &r};
    struct t_thread waiter, owner;
    make_robust(&r);
    t_spawn(&waiter, wait_robustly, &w);
    t_until(__atomic_load_n(&w.thread, __ATOMIC_ACQUIRE));
    t_until_blocked(waiter.tid);
    r.thread = w.thread;
    t_spawn(&owner, die_with_mutex, &r);
    t_join(&owner);
    t_join(&waiter);
    CHECK_EQ(w.result, EOWNERDEAD);
    CHECK_EQ(pthread_mutex_destroy(&r.mutex), 0);
}

static void *interrupt_holding(void *argument)
{
    struct race *r = argument;
    CHECK_EQ(pthread_mutex_lock(&r->mutex), 0);
    CHECK_EQ(bough_interrupt(r->thread, NULL), 0);
    t_until_blocked((pid_t)r->rounds); /* the waiter, which now waits for the mutex */
    r->taken = 1;
    CHECK_EQ(pthread_mutex_unlock(&r->mutex), 0);
    return NULL;
}

/* An interrupted wait returns with the mutex, not before it has it. */
TEST(a_condition_takes_its_mutex_first)
{
    struct race r = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct waiter w = {.race = &r};
    struct t_thread waiter, holder;
    until_waiting(&w, &waiter);
    r.thread = w.thread;
    r.rounds = waiter.tid;
    t_spawn(&holder, interrupt_holding, &r);
    t_join(&waiter);
    CHECK_EQ(r.taken, 1);
    CHECK_EQ(w.result, ECANCELED);
    t_join(&holder);
}
