/* SPDX-License-Identifier: MIT */
#include "worker.h"

static int lock(void *mutex)
{
    return bough_mutex_lock(mutex, 0);
}
static int try_lock(void *mutex)
{
    return bough_mutex_trylock(mutex);
}
static int unlock(void *mutex)
{
    return bough_mutex_unlock(mutex);
}

static int lock_and_unlock(void *mutex)
{
    int result = bough_mutex_lock(mutex, 0), error = errno;
    if (result == 0 || error == EOWNERDEAD)
        CHECK_EQ(bough_mutex_unlock(mutex), 0);
    errno = error;
    return result;
}

/* Makes the call on another thread. Returns its result. */
static int elsewhere(int (*call)(void *), void *mutex)
{
    struct worker w;
    w_start(&w, call, mutex);
    return w_end(&w) == 0 ? 0 : w.error;
}

TEST(trylock_fails_while_the_mutex_is_held)
{
    bough_mutex mutex = BOUGH_MUTEX_INIT;
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    CHECK_ERR(bough_mutex_trylock(&mutex), EBUSY);
    CHECK_EQ(elsewhere(try_lock, &mutex), EBUSY);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    CHECK_EQ(elsewhere(lock_and_unlock, &mutex), 0);
    CHECK_EQ(bough_mutex_trylock(&mutex), 0);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
}

TEST(only_the_owner_may_unlock)
{
    bough_mutex mutex = {0};
    CHECK_ERR(bough_mutex_unlock(&mutex), EPERM);
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    CHECK_ERR(bough_mutex_lock(&mutex, 0), EDEADLK);
    CHECK_ERR(bough_mutex_lock(&mutex, 1), EDEADLK);
    CHECK_EQ(elsewhere(unlock, &mutex), EPERM);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    CHECK_ERR(bough_mutex_unlock(&mutex), EPERM);
}

TEST(mutexes_are_unlocked_in_any_order)
{
    bough_mutex m[5] = {0};
    static const int order[] = {2, 0, 4, 1, 3};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++)
            CHECK_EQ(bough_mutex_lock(&m[i], 0), 0);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(bough_mutex_unlock(&m[order[i]]), 0);
    }
    for (int i = 0; i < 5; i++)
        CHECK_EQ(elsewhere(lock_and_unlock, &m[i]), 0);
}

static int lock_till_deadline(void *mutex)
{
    return bough_mutex_lock(mutex, bough_after(BOUGH_MS(20)));
}

TEST(a_wait_ends_at_its_deadline)
{
    bough_mutex mutex = {0};
    CHECK_EQ(bough_mutex_lock(&mutex, 1), 0);
    CHECK_EQ(elsewhere(lock_till_deadline, &mutex), ETIMEDOUT);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    CHECK_EQ(elsewhere(lock_till_deadline, &mutex), 0);
}

TEST(a_waiter_is_interrupted_and_the_next_gets_the_mutex)
{
    bough_mutex mutex = {0};
    struct worker cut, next;
    bough_mutex_lock(&mutex, 0);
    w_start_blocked(&cut, lock_and_unlock, &mutex);
    w_start_blocked(&next, lock_and_unlock, &mutex);
    w_end_cut(&cut);
    bough_mutex_unlock(&mutex);
    CHECK_EQ(w_end(&next), 0);
}

TEST(lock_is_a_point_without_a_wait)
{
    bough_mutex mutex = {0};
    bough_interrupt(bough_self(), "test");
    CHECK_ERR(bough_mutex_lock(&mutex, 0), ECANCELED);
    CHECK_ERR(bough_mutex_unlock(&mutex), EPERM);
    CHECK_EQ(bough_mutex_trylock(&mutex), 0); /* trylock and unlock are no points */
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    bough_clear(NULL);
}

/* ---- the owner ends ---------------------------------------------------------------------------------------------- */

TEST(the_next_taker_gets_the_mutex_of_an_ended_owner)
{
    bough_mutex mutex = {0};
    CHECK_EQ(elsewhere(lock, &mutex), 0);
    CHECK_ERR(bough_mutex_lock(&mutex, 0), EOWNERDEAD);
    CHECK_ERR(bough_mutex_lock(&mutex, 0), EDEADLK); /* this thread holds the mutex */
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0); /* the mutex is consistent again */
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
}

TEST(all_mutexes_of_an_ended_owner_can_be_taken)
{
    bough_mutex m[3] = {0};
    struct worker w;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(elsewhere(i == 1 ? try_lock : lock, &m[i]), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(bough_mutex_trylock(&m[i]), EOWNERDEAD);
        w_start_blocked(&w, lock, &m[i]);
        CHECK_EQ(bough_mutex_unlock(&m[i]), 0);
        CHECK_EQ(w_end(&w), 0);
        CHECK_ERR(bough_mutex_lock(&m[i], 0), EOWNERDEAD);
        CHECK_EQ(bough_mutex_unlock(&m[i]), 0);
    }
}

struct held_for_a_while {
    bough_mutex mutex;
    struct t_gate held, end;
};

static int lock_and_end(void *argument)
{
    struct held_for_a_while *h = argument;
    CHECK_EQ(bough_mutex_lock(&h->mutex, 0), 0);
    t_gate_open(&h->held);
    t_gate_wait(&h->end);
    return 0;
}

TEST(a_waiter_gets_the_mutex_of_an_ended_owner)
{
    struct held_for_a_while h = {0};
    struct worker owner, waiter[2];
    w_start(&owner, lock_and_end, &h);
    t_gate_wait(&h.held);
    for (int i = 0; i < 2; i++)
        w_start_blocked(&waiter[i], lock_and_unlock, &h.mutex);
    t_gate_open(&h.end);
    w_end(&owner);
    int dead = 0;
    for (int i = 0; i < 2; i++)
        dead += w_end(&waiter[i]) == -1 && waiter[i].error == EOWNERDEAD;
    CHECK_EQ(dead, 1); /* the first waiter has made it consistent for the second */
}

static int lock_child(void *mutex)
{
    return bough_mutex_lock(mutex, 0);
}

TEST(a_child_that_ends_is_an_ended_owner)
{
    bough_mutex mutex = {0};
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, lock_child, bough_arg(&mutex)));
    }
    CHECK_ERR(bough_mutex_lock(&mutex, 0), EOWNERDEAD);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

TEST(a_forked_child_holds_what_its_thread_held)
{
    bough_mutex mutex = {0};
    bough_mutex_lock(&mutex, 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_ERR(bough_mutex_lock(&mutex, 0), EDEADLK);
        CHECK_EQ(bough_mutex_unlock(&mutex), 0);
        CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
}

/* ---- exclusion --------------------------------------------------------------------------------------------------- */

struct counter {
    bough_mutex mutex;
    long count;
};

static int add_many(void *argument)
{
    struct counter *c = argument;
    for (int i = 0; i < 50000; i++) {
        if (bough_mutex_lock(&c->mutex, 0) != 0)
            return -1;
        c->count++;
        bough_mutex_unlock(&c->mutex);
    }
    return 0;
}

TEST(only_one_thread_holds_the_mutex)
{
    struct counter c = {0};
    struct worker w[4];
    for (int i = 0; i < 4; i++)
        w_start(&w[i], add_many, &c);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(w_end(&w[i]), 0);
    CHECK_EQ(c.count, 4 * 50000);
}
