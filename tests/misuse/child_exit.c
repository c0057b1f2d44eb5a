/* SPDX-License-Identifier: MIT */
/* pthread_exit() and pthread_cancel() in children, and in adopted threads with a branch open: they are detected and
 * reported, and the regions and branches that were left open are ended. */
#include <stdbool.h>
#include "semantics/children.h"

static struct thing thing;

/* ---- pthread_exit() and pthread_cancel() in a child -------------------------------------------------------------- */

static struct t_gate running;
static pthread_t child_thread;

static int exits(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

static int exits_deep_inside(void *unused)
{
    BOUGH_BRANCH(inner) {
        add(inner, until_stopped, thing_of(&thing));
        BOUGH_CRITICAL(0)
            exits(unused);
    }
    return 0;
}

__attribute__((noreturn)) static int is_cancelled(void *unused)
{
    (void)unused;
    child_thread = pthread_self();
    t_gate_open(&running);
    for (;;)
        pause();
}

static void is_a_failure(int siblings)
{
    const struct bough_ending *e = bough_last();
    CHECK_EQ(e->result, EPROTO);
    CHECK_EQ(e->error->code, EPROTO);
    CHECK(strstr(e->error->message, "pthread_exit"));
    CHECK_EQ(e->tally.count[BOUGH_ERROR], 1);
    CHECK_EQ(e->tally.count[BOUGH_INTERRUPTED], siblings);
    CHECK_EQ(thing.destroyed, 1);
}

TEST(a_child_that_calls_pthread_exit_has_failed_and_stops_its_siblings)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, number(0));
        add(b, until_stopped, number(0));
        add(b, exits, thing_of(&thing));
        CHECK_EQ(until_stopped(NULL), ECANCELED);
    }
    is_a_failure(2);
}

TEST(a_child_that_is_cancelled_has_failed_and_stops_its_siblings)
{
    need_cancellation();
    BOUGH_BRANCH(b) {
        add(b, until_stopped, number(0));
        add(b, is_cancelled, thing_of(&thing));
        t_gate_wait(&running);
        CHECK_EQ(pthread_cancel(child_thread), 0);
        CHECK_EQ(until_stopped(NULL), ECANCELED);
    }
    is_a_failure(1);
}

TEST(regions_and_branches_open_at_pthread_exit_are_ended)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, exits_deep_inside, number(0));
    is_a_failure(0);
    BOUGH_BRANCH(b)
        add(b, level_is_deferred, number(0));
    CHECK_EQ(bough_last_result(), 0);
}

/* The child ends exactly once, by the cancellation or the interrupt. */
static int cancels_itself_and_is_cut(void *unused)
{
    pthread_cancel(pthread_self());
    return until_stopped(unused);
}

TEST(a_cancellation_and_an_interrupt_at_the_same_time_end_a_child_once)
{
    for (int i = 0; i < 200; i++) {
        struct thing once = {0};
        BOUGH_BRANCH(b) {
            add(b, cancels_itself_and_is_cut, thing_of(&once));
            bough_interrupt(b, "now");
        }
        const struct bough_tally *tally = &bough_last()->tally;
        CHECK_EQ(tally->count[BOUGH_ERROR] + tally->count[BOUGH_INTERRUPTED], 1);
        CHECK_EQ(once.destroyed, 1);
    }
}

/* ---- the same in an adopted thread ------------------------------------------------------------------------------- */

static void *exits_with_a_branch(void *unused)
{
    exits_deep_inside(unused);
    return NULL;
}

static void *is_cancelled_with_a_branch(void *unused)
{
    BOUGH_BRANCH(inner) {
        add(inner, until_stopped, thing_of(&thing));
        is_cancelled(unused);
    }
    return NULL;
}

static void left_its_branch(void *(*function)(void *), bool cancel)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, function, NULL);
    if (cancel) {
        t_gate_wait(&running);
        CHECK_EQ(pthread_cancel(thread.handle), 0);
    }
    t_join(&thread);
    CHECK_EQ(thing.destroyed, 1); /* the child was joined, by the end of the thread at the latest */
    CHECK_EQ(bough_check(), 0);
}

TEST(an_adopted_thread_that_exits_with_a_branch_open_ends_it)
{
    left_its_branch(exits_with_a_branch, false);
}

TEST(an_adopted_thread_that_is_cancelled_with_a_branch_open_ends_it)
{
    need_cancellation();
    left_its_branch(is_cancelled_with_a_branch, true);
}

/* The wait for children is no cancellation point: a cancellation takes effect when they are joined. */
static struct t_gate released;

static void *is_cancelled_at_the_end(void *unused)
{
    BOUGH_BRANCH(inner) {
        add(inner, wait_for_gate, bough_resource_of(&released, NULL));
        child_thread = pthread_self();
        t_gate_open(&running);
    }
    thing.used = 1;
    pthread_testcancel();
    return unused;
}

TEST(a_cancellation_does_not_interrupt_the_end_of_a_branch)
{
    struct t_thread thread;
    t_spawn(&thread, is_cancelled_at_the_end, NULL);
    t_gate_wait(&running);
    t_until_blocked(thread.tid);
    CHECK_EQ(pthread_cancel(thread.handle), 0);
    t_gate_open(&released);
    CHECK(t_join(&thread) == PTHREAD_CANCELED);
    CHECK_EQ(thing.used, 1);
}
