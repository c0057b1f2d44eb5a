/* SPDX-License-Identifier: MIT */
#include "worker.h"
#include <signal.h>

static int await_event(void *event)
{
    return bough_event_wait(event, 0);
}

TEST(set_and_reset)
{
    bough_event_flag event = BOUGH_EVENT_INIT;
    CHECK_EQ(bough_event_is_set(&event), 0);
    CHECK_EQ(bough_event_set(&event), 0);
    CHECK_EQ(bough_event_is_set(&event), 1);
    CHECK_EQ(bough_event_set(&event), 0);
    CHECK_EQ(bough_event_wait(&event, 0), 0);
    CHECK_EQ(bough_event_wait(&event, 1), 0); /* a wait does not reset the event */
    CHECK_EQ(bough_event_reset(&event), 0);
    CHECK_EQ(bough_event_reset(&event), 0);
    CHECK_EQ(bough_event_is_set(&event), 0);
}

TEST(a_wait_ends_at_its_deadline)
{
    bough_event_flag event = {0};
    CHECK_ENDS_AT_DEADLINE(bough_event_wait(&event, deadline));
    CHECK_ERR(bough_event_wait(&event, -1), ETIMEDOUT);
}

TEST(set_wakes_all_even_if_reset_follows)
{
    bough_event_flag event = {0};
    struct worker w[4];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            w_start_blocked(&w[i], await_event, &event);
        bough_event_set(&event);
        bough_event_reset(&event);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(w_end(&w[i]), 0);
    }
    CHECK_ERR(bough_event_wait(&event, 1), ETIMEDOUT);
}

TEST(a_waiter_is_interrupted_and_the_others_go_on_waiting)
{
    bough_event_flag event = {0};
    struct worker cut, stays;
    w_start_blocked(&cut, await_event, &event);
    w_start_blocked(&stays, await_event, &event);
    w_end_cut(&cut);
    t_until_blocked(stays.thread.tid);
    bough_event_set(&event);
    CHECK_EQ(w_end(&stays), 0);
}

TEST(wait_is_a_point_without_a_wait)
{
    bough_event_flag event = {0};
    bough_event_set(&event);
    bough_interrupt(bough_self(), "test");
    CHECK_ERR(bough_event_wait(&event, 0), ECANCELED);
    bough_clear(NULL);
    CHECK_EQ(bough_event_wait(&event, 0), 0);
}

static bough_event_flag in_handler;

static void set_here(int signo)
{
    (void)signo;
    bough_event_set(&in_handler);
}

TEST(a_handler_may_set)
{
    struct worker w;
    needs_handlers_in_calls();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = set_here, .sa_flags = SA_RESTART}, NULL);
    w_start_blocked(&w, await_event, &in_handler);
    pthread_kill(w.thread.handle, SIGUSR1);
    CHECK_EQ(w_end(&w), 0);
}
