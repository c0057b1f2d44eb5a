/* SPDX-License-Identifier: MIT */
/* Nothing is lost or doubled. Threads work while interrupts arrive at random moments; each thread clears the interrupt
 * that has ended its call, and continues. At the end the counts of what the threads have taken and given must agree. */
#ifndef TEST_STORM_H
#define TEST_STORM_H

#include <bough.h>
#include <stdbool.h>
#include "random_delay.h"

struct storm_thread {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    void (*turn)(struct storm_thread *self); /* one round; returns soon after an interrupt */
    void *object;
    int number;
    bool spared; /* gets no interrupts */
    uint64_t random;
    _Atomic long cuts, done;
    _Atomic bool ended;
};

struct storm {
    struct storm_thread thread[8];
    int count;
};

static _Atomic bool storm_over; /* from now on a thread that is interrupted ends */

/* Takes a call's result: true if the call has succeeded. Clears an interrupt, until the storm is over. */
static inline bool storm_done(struct storm_thread *self, int result)
{
    if (result == 0)
        return true;
    CHECK_EQ(errno, ECANCELED);
    self->cuts++;
    if (!storm_over)
        bough_clear(NULL);
    return false;
}

static inline void *storm_main(void *argument)
{
    struct storm_thread *self = argument;
    self->self = bough_self();
    t_gate_open(&self->known);
    while (!storm_over)
        self->turn(self);
    self->ended = true;
    return NULL;
}

static inline void storm_add_spared(struct storm *storm, void (*turn)(struct storm_thread *), void *object, bool spared)
{
    struct storm_thread *t = &storm->thread[storm->count];
    t->turn = turn;
    t->object = object;
    t->spared = spared;
    t->number = storm->count++;
    t->random = t_seed() + (uint64_t)t->number * 0x9e3779b97f4a7c15u + 1;
    t_spawn(&t->thread, storm_main, t);
    t_gate_wait(&t->known);
}

static inline void storm_add(struct storm *storm, void (*turn)(struct storm_thread *), void *object)
{
    storm_add_spared(storm, turn, object, false);
}

static inline long storm_cuts(const struct storm *storm)
{
    long cuts = 0;
    for (int i = 0; i < storm->count; i++)
        cuts += storm->thread[i].cuts;
    return cuts;
}

/* Posts until the requested number of calls was interrupted. */
static inline void storm_rage(struct storm *storm)
{
    uint64_t random = t_seed();
    long posts = 0;
    while (storm_cuts(storm) < t_loss()) {
        struct storm_thread *t = &storm->thread[t_random(&random) % (uint64_t)storm->count];
        if (t->spared)
            continue;
        CHECK_EQ(bough_interrupt(t->self, "storm"), 0);
        posts++;
        pause_at_random(&random);
    }
    t_note("%ld posts, %ld calls interrupted", posts, storm_cuts(storm));
}

/* No interrupts for a while: each thread must still make progress. */
static inline void storm_calm(struct storm *storm)
{
    for (int i = 0; i < storm->count; i++) {
        long before = storm->thread[i].done;
        t_until(storm->thread[i].done > before + 10);
    }
}

static inline void storm_end(struct storm *storm)
{
    storm_over = true;
    for (int i = 0; i < storm->count; i++)
        t_until((bough_interrupt(storm->thread[i].self, "the end"), storm->thread[i].ended));
    for (int i = 0; i < storm->count; i++)
        t_join(&storm->thread[i].thread);
}

#endif
