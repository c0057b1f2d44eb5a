/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include "semantics/children.h"

static _Atomic int running, most, destroyed, ran;

static void count_in(void)
{
    int now = ++running, before = most;
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
}

/* The child counts as running until its resource is destroyed. */
static void destroy(void *value)
{
    (void)value;
    destroyed++;
    running--;
}

static int counted_work(void *value)
{
    (void)value;
    count_in();
    ran++;
    return 0;
}

/* The first children wait for each other. */
static int counted_meeting(void *value)
{
    counted_work(value);
    t_until(most >= 3);
    return 0;
}

TEST(never_more_than_the_limit)
{
    BOUGH_BRANCH(jobs) {
        bough_bounded *three = bough_bounded_new(jobs, 3);
        CHECK(three);
        for (int i = 0; i < 60; i++)
            CHECK(bough_bounded_add(three, counted_meeting, bough_resource_of(NULL, destroy)));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(most, 3);
    CHECK_EQ(ran, 60);
    CHECK_EQ(destroyed, 60);
}

TEST(invalid_arguments_are_refused)
{
    bough_branch *ended = NULL;
    CHECK_ERR(bough_bounded_new(NULL, 1), EINVAL);
    CHECK_ERR(bough_bounded_new(bough_root(), 1), EINVAL);
    BOUGH_BRANCH(b) {
        ended = b;
        CHECK_ERR(bough_bounded_new(b, 0), EINVAL);
        bough_bounded *one = bough_bounded_new(b, 1);
        running = 1;
        CHECK_ERR(bough_bounded_add(one, NULL, bough_resource_of(NULL, destroy)), EINVAL);
        CHECK_EQ(destroyed, 1);
    }
    CHECK_ERR(bough_bounded_new(ended, 1), ESRCH);
}

TEST(the_wait_for_a_place_is_interrupted)
{
    struct t_thread cutter;
    BOUGH_BRANCH(jobs) {
        bough_bounded *one = bough_bounded_new(jobs, 1);
        CHECK(bough_bounded_add(one, until_stopped, bough_arg(NULL)));
        t_spawn(&cutter, interrupt_blocked_main, bough_self());
        running = 1;
        CHECK_ERR(bough_bounded_add(one, counted_work, bough_resource_of(NULL, destroy)), ECANCELED);
        CHECK_EQ(destroyed, 1);
        CHECK_EQ(ran, 0);
    }
    t_join(&cutter);
    bough_clear(NULL);
}

TEST(a_place_is_released_when_no_child_starts)
{
    BOUGH_BRANCH(jobs) {
        bough_bounded *one = bough_bounded_new(jobs, 1);
        bough_interrupt(jobs, "test");
        for (int i = 0; i < 3; i++) {
            BOUGH_CRITICAL(0) /* the wait is not interrupted, but the branch is marked */
                CHECK_ERR(bough_bounded_add(one, counted_work, bough_resource_of(NULL, destroy)), ECANCELED);
        }
        CHECK_EQ(destroyed, 3);
    }
    CHECK_EQ(ran, 0);
}

static int fail_now(void *value)
{
    (void)value;
    return EIO;
}

TEST(after_a_failure_no_child_is_added)
{
    BOUGH_BRANCH(jobs) {
        bough_bounded *one = bough_bounded_new(jobs, 1);
        CHECK(bough_bounded_add(one, fail_now, bough_arg(NULL)));
        while (bough_bounded_add(one, counted_work, bough_arg(NULL)))
            ;
        CHECK_EQ(errno, ECANCELED);
    }
    CHECK_EQ(bough_last_result(), EIO);
}

static int take_it(void *value)
{
    count_in();
    CHECK_EQ(bough_take(), value);
    CHECK_ERR(bough_take(), ENOENT);
    running--;
    return 0;
}

/* Possible bug: a child that takes its resource over takes the place with it. */
TEST(a_child_may_take_its_resource_over)
{
    int value;
    BOUGH_BRANCH(jobs) {
        bough_bounded *one = bough_bounded_new(jobs, 1);
        for (int i = 0; i < 5; i++)
            CHECK(bough_bounded_add(one, take_it, bough_resource_of(&value, destroy)));
    }
    CHECK_EQ(destroyed, 0);
    CHECK_EQ(most, 1);
}

static int leave_by_exit(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

TEST(pthread_exit_releases_the_place)
{
    BOUGH_BRANCH(jobs, .supervisor = 1) {
        bough_bounded *one = bough_bounded_new(jobs, 1);
        for (int i = 0; i < 3; i++)
            CHECK(bough_bounded_add(one, leave_by_exit, bough_arg(NULL)));
    }
}
