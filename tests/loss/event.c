/* SPDX-License-Identifier: MIT */
#include "two_waiters.h"
#include "many_threads.h"

static int await_event(void *event)
{
    return bough_event_wait(event, 0);
}
static void set(void *event)
{
    CHECK_EQ(bough_event_set(event), 0);
}
static void reset(void *event)
{
    CHECK_EQ(bough_event_reset(event), 0);
}

TEST_LIMIT(a_waiter_that_is_not_interrupted_sees_the_event, 600)
{
    static bough_event_flag event;
    fight(&(struct duel){.wait = await_event, .prepare = reset, .offer = set, .for_all = true}, &event);
}

/* ---- set, and reset at once: waiting threads are released nevertheless ------------------------------------------- */

static void wait_for_pulse(struct storm_thread *self)
{
    if (storm_done(self, bough_event_wait(self->object, 0)))
        self->done++;
}

static void pulse(struct storm_thread *self)
{
    bough_event_set(self->object);
    bough_event_reset(self->object);
    pause_at_random(&self->random);
    self->done++;
}

TEST_LIMIT(every_pulse_reaches_the_waiting_threads, 600)
{
    static bough_event_flag event;
    static struct storm storm;
    widen_window();
    storm_add_spared(&storm, pulse, &event, true);
    for (int i = 0; i < 3; i++)
        storm_add(&storm, wait_for_pulse, &event);
    storm_rage(&storm);
    storm_calm(&storm);
    storm_end(&storm);
}
