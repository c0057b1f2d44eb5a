/* SPDX-License-Identifier: MIT */
/* Rule 36 for C++: a handler of the ladder that throws has failed, and its thread continues as after a jump. */
#include <bough.h>
#include <atomic>
#include <poll.h>
#include "harness.h"

static std::atomic<int> threw, caught, finals, reported;
static std::atomic<bool> go;

static void note_report(const char *line)
{
    reported += strstr(line, "has left by a jump or an exception") != nullptr;
}

static int throw_it(bough_incident *, void *)
{
    threw++;
    throw 1;
}

static int leave_open_and_throw(bough_incident *, void *)
{
    bough_region region;
    CHECK_EQ(bough_critical_begin(&region, 0, __FILE__, __LINE__), 0);
    CHECK(bough_branch_open(nullptr));
    threw++;
    throw 1;
}

static int count_final(bough_incident *, void *)
{
    finals++;
    return 0;
}

/* Set in the region whose handler is to run, because a point may fail before the incident reaches that rung. */
static std::atomic<int> inside;

static void until_it_throws()
{
    for (inside++;;)
        bough_usleep(1000);
}

static bough_thread *target;

/* Rungs end by the actions of their handlers, not by time. */
static bough_post start(bough_branch *b, bough_fn *fn, int rung)
{
    bough_ladder times = {};
    times.cap = times.time[1] = times.time[2] = times.time[3] = BOUGH_SEC(600);
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &times), 0);
    bough_set_report(note_report);
    target = bough_add(b, fn, bough_arg(nullptr));
    CHECK(target);
    t_until(inside == 1);
    bough_event event = {};
    event.rung = rung;
    return bough_post_event(target, &event);
}

/* The thread's record is due, so its points fail. When the record is cleared, no state is left. */
static void check_that_calls_work()
{
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_ERR(bough_usleep(500000000), ECANCELED);
    CHECK(bough_clear(nullptr) >= 0);
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_check(), 0);
    CHECK_EQ(bough_usleep(1), 0);
    BOUGH_CRITICAL(0)
        CHECK_EQ(bough_usleep(1), 0);
    BOUGH_BRANCH(b)
        CHECK_EQ(bough_usleep(1), 0);
    CHECK_EQ(bough_last_result(), 0);
}

/* ---- rung 2 ------------------------------------------------------------------------------------------------------ */

static int catch_from_rung_2(void *handler)
{
    BOUGH_HANDLE_FINAL(count_final, nullptr) {
        try {
            BOUGH_HANDLE(handler ? leave_open_and_throw : throw_it, nullptr) {
                until_it_throws();
            }
        } catch (int) {
            caught++;
        }
        CHECK_ERR(bough_check(), ECANCELED); /* here the failed handler is detected, and the incident climbs */
        while (finals == 0)
            bough_check();
        check_that_calls_work();
    }
    return 0;
}

TEST(a_handler_that_throws_has_failed_and_the_final_one_runs)
{
    BOUGH_BRANCH(b)
        start(b, catch_from_rung_2, BOUGH_RUNG_HANDLER);
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(threw, 1);
    CHECK_EQ(caught, 1);
    CHECK_EQ(finals, 1);
    t_until(reported == 1);
}

static int leaves_open(void *)
{
    return catch_from_rung_2(&threw);
}

TEST(regions_and_branches_that_the_handler_has_begun_are_ended)
{
    BOUGH_BRANCH(b)
        start(b, leaves_open, BOUGH_RUNG_HANDLER);
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(finals, 1);
}

static int catch_twice(void *)
{
    for (int i = 1; i <= 2; i++) {
        try {
            BOUGH_HANDLE(throw_it, nullptr) {
                until_it_throws();
            }
        } catch (int) {
            caught++;
        }
        check_that_calls_work();
    }
    return 0;
}

TEST(a_later_incident_runs_the_handler_again)
{
    BOUGH_BRANCH(b) {
        bough_post first = start(b, catch_twice, BOUGH_RUNG_HANDLER);
        t_until(bough_post_status(first) == BOUGH_POST_CLEARED);
        t_until(inside == 2);
        bough_event again = {};
        again.rung = BOUGH_RUNG_HANDLER;
        bough_post_event(target, &again);
    }
    CHECK_EQ(threw, 2);
}

/* ---- rung 3 ------------------------------------------------------------------------------------------------------ */

static int catch_from_rung_3(void *)
{
    try {
        BOUGH_HANDLE_FINAL(throw_it, nullptr) {
            until_it_throws();
        }
    } catch (int) {
        caught++;
    }
    check_that_calls_work();
    return 0;
}

TEST(a_final_handler_may_leave_by_an_exception)
{
    BOUGH_BRANCH(b)
        start(b, catch_from_rung_3, BOUGH_RUNG_FINAL);
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(threw, 1);
    CHECK_EQ(caught, 1);
    CHECK_EQ(reported, 0);
}

static int leave_by_exception(void *)
{
    try {
        BOUGH_BRANCH(inner) {
            BOUGH_HANDLE_FINAL(throw_it, nullptr) {
                until_it_throws();
            }
        }
    } catch (int) {
        CHECK_EQ(bough_last_result(), ECANCELED);
        return ECANCELED;
    }
    return 0;
}

/* The exception leaves because of the interrupt: no branch that it passes has failed (rule 28). */
TEST(a_block_that_the_exception_leaves_counts_as_interrupted)
{
    BOUGH_BRANCH(b)
        start(b, leave_by_exception, BOUGH_RUNG_FINAL);
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

/* ---- the call that the exception leaves -------------------------------------------------------------------------- */

static bough_mutex mutex = BOUGH_MUTEX_INIT;
static bough_cond changed = BOUGH_COND_INIT;
static bough_queue *queue;
static int item;

static std::atomic<pid_t> tid;

/* The interrupt was delivered before, so it does not end the wait; the handler runs inside the wait. */
template <typename Wait> static void catch_out_of(Wait wait)
{
    inside++;
    while (bough_check() == 0)
        bough_usleep(1000);
    BOUGH_CLEANUP(BOUGH_SEC(600)) {
        try {
            BOUGH_HANDLE(throw_it, nullptr) {
                tid = t_tid();
                inside++;
                wait();
            }
            FAIL("the wait ends");
        } catch (int) {
            caught++;
        }
    }
    CHECK(bough_clear(nullptr) >= 0);
}

static void throw_in(bough_fn *fn)
{
    inside = 0;
    BOUGH_BRANCH(b) {
        start(b, fn, BOUGH_RUNG_FLAG);
        t_until(inside == 2);
        t_until_blocked(tid);
        bough_event event = {};
        event.rung = BOUGH_RUNG_HANDLER;
        bough_post_event(target, &event);
    }
    CHECK_EQ(bough_last_result(), 0);
}

static int catch_out_of_a_condition(void *)
{
    catch_out_of([] {
        CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
        bough_cond_await(&changed, &mutex, 0);
    });
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    return 0;
}

static int await_condition(void *)
{
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    go = true;
    CHECK_EQ(bough_cond_await(&changed, &mutex, 0), 0);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    return 0;
}

/* Fixed bug: the ticket stayed in the wait queue, in memory that was reused. */
TEST(a_condition_forgets_the_waiter_and_the_mutex_is_held)
{
    throw_in(catch_out_of_a_condition);
    CHECK_EQ(caught, 1);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, await_condition, bough_arg(nullptr)));
        t_until(go);
        CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
        CHECK_EQ(bough_cond_notify(&changed), 0);
        CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
}

static int catch_out_of_a_get(void *)
{
    void *got;
    catch_out_of([&got] { bough_queue_get(queue, &got, 0); });
    return 0;
}

static int catch_out_of_a_put(void *)
{
    catch_out_of([] { bough_queue_put(queue, &threw, 0); });
    return 0;
}

TEST(a_queue_forgets_the_waiter)
{
    void *got = nullptr;
    queue = bough_queue_new(1);
    throw_in(catch_out_of_a_get);
    CHECK_EQ(bough_queue_put(queue, &item, 0), 0);
    throw_in(catch_out_of_a_put);
    CHECK_EQ(bough_queue_get(queue, &got, 0), 0);
    CHECK(got == &item);
    CHECK_EQ(bough_queue_length(queue), 0);
    CHECK_EQ(caught, 2);
    bough_queue_free(queue, nullptr);
}

static bough_sem semaphore = BOUGH_SEM_INIT(0);

static int catch_out_of_an_acquire(void *)
{
    catch_out_of([] { bough_sem_acquire(&semaphore, 0); });
    return 0;
}

TEST(a_semaphore_forgets_the_waiter)
{
    throw_in(catch_out_of_an_acquire);
    CHECK_EQ(caught, 1);
    CHECK_EQ(semaphore.state, 0);
}

/* ---- the call in which the handler has run ----------------------------------------------------------------------- */

static int poll_for_long()
{
    pollfd silent = {t_silent(), POLLIN, 0};
    return poll(&silent, 1, 500000);
}

static int catch_from_foreign_code(void *)
{
    BOUGH_FOREIGN
    {
        try {
            BOUGH_HANDLE(throw_it, nullptr) {
                for (inside++;;)
                    poll_for_long();
            }
        } catch (int) {
            caught++;
        }
        check_that_calls_work();
        go = true;
        CHECK_EQ(poll_for_long(), -1); /* the thread is still opted in */
        CHECK(bough_check() != 0);
    }
    return 0;
}

TEST(foreign_calls_are_interruptible_afterwards)
{
    if (bough_interpose(nullptr, 0) < 0)
        SKIP("nothing can be interposed here");
    BOUGH_BRANCH(b) {
        start(b, catch_from_foreign_code, BOUGH_RUNG_HANDLER);
        t_until(go);
        bough_interrupt(b, "again");
    }
    CHECK_EQ(caught, 1);
    bough_interpose_undo();
}
