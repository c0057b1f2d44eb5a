/* SPDX-License-Identifier: MIT */
/* No wake-up is lost. Two threads wait for the same object. At random moments the first thread is interrupted, and the
 * object is offered to exactly one thread. The first of these two events ends the first thread's wait. If the thread
 * was interrupted, the second thread, which is never interrupted, must get the offer. If the interrupted thread had
 * consumed the wake-up, the second would sleep indefinitely although there is an offer. (The interrupted thread does
 * not try again, because that would hide the loss.) */
#ifndef TEST_DUEL_H
#define TEST_DUEL_H

#include <bough.h>
#include <semaphore.h>
#include <stdbool.h>
#include "random_delay.h"

struct duel {
    int (*wait)(void *object);     /* called by both threads: 0, or -1 with ECANCELED */
    void (*prepare)(void *object); /* called before they begin; may be NULL */
    void (*settle)(void *object);  /* returns when both wait; NULL if an early offer does not matter */
    void (*offer)(void *object);   /* offers the object to one thread, or to all */
    bool for_all;                  /* the offer is for all, or is passed on from one thread to the other */
    void (*check)(void *object);   /* checks that nothing is left when both have ended; may be NULL */
};

struct duellist {
    struct t_thread thread;
    const struct duel *duel;
    void *object;
    bough_thread *self;
    sem_t go, done;
    _Atomic bool posted, over; /* posted: the interrupt may be cleared now */
    int result;
};

static inline void *duellist_main(void *argument)
{
    struct duellist *d = argument;
    d->self = bough_self();
    for (sem_post(&d->done); sem_wait(&d->go) == 0 && !d->over; sem_post(&d->done)) {
        d->result = d->duel->wait(d->object);
        if (d->result != 0)
            CHECK_EQ(errno, ECANCELED);
        while (!d->posted)
            sched_yield();
        bough_clear(NULL);
    }
    return NULL;
}

static inline void duel_await(struct duellist *d, const char *who)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)(10 * t_scale());
    if (sem_timedwait(&d->done, &end) != 0)
        FAIL("%s is stuck: a wake-up was lost", who);
}

static inline void duel_cut(struct duellist *first)
{
    CHECK_EQ(bough_interrupt(first->self, "duel"), 0);
    first->posted = true;
}

/* Returns 1 if the first was interrupted. */
static inline int duel_round(const struct duel *duel, void *object, struct duellist *both, uint64_t *random)
{
    if (duel->prepare)
        duel->prepare(object);
    both[0].posted = false;
    both[1].posted = true;
    sem_post(&both[0].go);
    sem_post(&both[1].go);
    pause_at_random(random);
    if (duel->settle)
        duel->settle(object);
    bool cut_first = t_random(random) & 16;
    if (cut_first)
        duel_cut(&both[0]);
    pause_at_random(random);
    duel->offer(object);
    pause_at_random(random);
    if (!cut_first)
        duel_cut(&both[0]);
    duel_await(&both[0], "the first, which was interrupted,");
    if (both[0].result == 0 && !duel->for_all)
        duel->offer(object);
    duel_await(&both[1], "the second");
    CHECK_EQ(both[1].result, 0);
    if (duel->check)
        duel->check(object);
    return both[0].result != 0;
}

static inline void fight(const struct duel *duel, void *object)
{
    static struct duellist both[2];
    uint64_t random = t_seed();
    long cut = 0, count = t_loss();
    widen_window();
    for (int i = 0; i < 2; i++) {
        both[i].duel = duel;
        both[i].object = object;
        sem_init(&both[i].go, 0, 0);
        sem_init(&both[i].done, 0, 0);
        t_spawn(&both[i].thread, duellist_main, &both[i]);
        duel_await(&both[i], "a thread that begins");
    }
    for (long i = 0; i < count; i++)
        cut += duel_round(duel, object, both, &random);
    for (int i = 0; i < 2; i++) {
        both[i].over = true;
        sem_post(&both[i].go);
        t_join(&both[i].thread);
    }
    t_note("%ld interrupts: %ld ended the wait, %ld came when the wait had succeeded", count, cut, count - cut);
    CHECK(cut > 0 && cut < count); /* both cases must have occurred */
}

#endif
