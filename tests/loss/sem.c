/* SPDX-License-Identifier: MIT */
#include "two_waiters.h"
#include "many_threads.h"

/* ---- no wake-up is lost ------------------------------------------------------------------------------------------ */

static int acquire(void *sem)
{
    return bough_sem_acquire(sem, 0);
}
static void release(void *sem)
{
    CHECK_EQ(bough_sem_release(sem), 0);
}

static void check_empty(void *sem)
{
    CHECK_EQ(((bough_sem *)sem)->state, 0); /* no token, and no thread counted as waiting */
}

TEST_LIMIT(an_interrupted_waiter_consumes_no_wake, 600)
{
    static bough_sem sem;
    fight(&(struct duel){.wait = acquire, .offer = release, .check = check_empty}, &sem);
}

/* The wait may also end by its deadline. */
static int acquire_for_long(void *sem)
{
    return bough_sem_acquire(sem, bough_after(BOUGH_SEC(1000)));
}

TEST_LIMIT(a_waiter_with_a_deadline_consumes_no_wake, 600)
{
    static bough_sem sem;
    fight(&(struct duel){.wait = acquire_for_long, .offer = release, .check = check_empty}, &sem);
}

/* ---- tokens add up ----------------------------------------------------------------------------------------------- */

enum { TOKENS = 2 };

struct exchange {
    bough_sem room, items;
    _Atomic long in_hand; /* acquired from one, not released to the other yet */
};

static void move_token(struct storm_thread *self, bough_sem *from, bough_sem *to)
{
    struct exchange *x = self->object;
    bough_time deadline = t_random(&self->random) % 4 ? 0 : bough_after(BOUGH_SEC(1000));
    if (!storm_done(self, bough_sem_acquire(from, deadline)))
        return;
    x->in_hand++;
    CHECK_EQ(bough_sem_release(to), 0);
    x->in_hand--;
    self->done++;
}

static void produce(struct storm_thread *self)
{
    struct exchange *x = self->object;
    move_token(self, &x->room, &x->items);
}

static void consume(struct storm_thread *self)
{
    struct exchange *x = self->object;
    move_token(self, &x->items, &x->room);
}

TEST_LIMIT(tokens_are_conserved, 600)
{
    static struct exchange x = {BOUGH_SEM_INIT(TOKENS), BOUGH_SEM_INIT(0), 0};
    static struct storm storm;
    widen_window();
    for (int i = 0; i < 5; i++)
        storm_add(&storm, i < 2 ? produce : consume, &x);
    storm_rage(&storm);
    storm_calm(&storm);
    storm_end(&storm);
    CHECK_EQ(x.in_hand, 0);
    CHECK_EQ(x.room.state + x.items.state, TOKENS); /* and no thread is counted as waiting */
}
