/* SPDX-License-Identifier: MIT */
/* Rule 4 with injected delays: a child is being added while its branch is posted to. */
#include "hooks.h"

static bough_branch *branch;
static uint32_t destroyed;
static int fds[2];

static void count_destroyed(void *value)
{
    (void)value;
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static bough_resource resource(void)
{
    return bough_resource_of((void *)(intptr_t)fds[0], count_destroyed);
}

static void post_here(void)
{
    if (__atomic_fetch_add(&hook_passed, 1, __ATOMIC_SEQ_CST) == 0)
        CHECK_EQ(bough_interrupt(branch, "in the middle of an add"), 0);
}

/* The post comes between the adder's first and second check for a mark, so that nothing is started. */
TEST(a_post_after_the_child_was_published_keeps_it_from_starting)
{
    NEED_HOOKS();
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 20; i++) {
        destroyed = hook_passed = 0;
        BOUGH_BRANCH(b) {
            branch = b;
            bo_hook_add_published = post_here;
            CHECK_ERR(bough_add(b, read_for_ever, resource()), ECANCELED);
            CHECK_EQ(destroyed, 1);
        }
        CHECK_EQ(bough_last()->interrupted, 1);
        CHECK_EQ(bough_last()->tally.count[BOUGH_NOT_STARTED], 1);
        CHECK_EQ(destroyed, 1);
    }
    close(fds[0]);
    close(fds[1]);
}

/* The poster sleeps after it has written its record and before it examines the threads; the child is added and started
 * meanwhile. */
static void *post_and_stop(void *unused)
{
    (void)unused;
    hooked = t_tid();
    CHECK_EQ(bough_interrupt(branch, "slowly"), 0);
    return NULL;
}

TEST(a_child_that_was_started_while_a_record_is_written_is_reached)
{
    struct t_thread poster;
    NEED_HOOKS();
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b) {
        branch = b;
        bo_hook_post_recorded = stop_here;
        t_spawn(&poster, post_and_stop, NULL);
        t_gate_wait(&hook_reached);
        for (int i = 0; i < 10; i++)
            CHECK(bough_add(b, read_for_ever, resource()));
        t_gate_open(&hook_go);
    }
    t_join(&poster);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 10);
    CHECK_EQ(destroyed, 10);
    close(fds[0]);
    close(fds[1]);
}

/* Adds a grandchild, in a branch that the poster does not name. */
static int adds_in_a_branch_of_its_own(void *unused)
{
    size_t started = 0;
    (void)unused;
    BOUGH_BRANCH(inner) {
        while (bough_add(inner, read_for_ever, resource()))
            started++;
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], started);
    return ECANCELED;
}

static void post_at_the_fifth(void)
{
    if (__atomic_fetch_add(&hook_passed, 1, __ATOMIC_SEQ_CST) == 5)
        CHECK_EQ(bough_interrupt(branch, "from further out"), 0);
}

TEST(a_grandchild_that_is_being_added_is_reached)
{
    NEED_HOOKS();
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 20; i++) {
        hook_passed = 0;
        bo_hook_add_published = post_at_the_fifth;
        BOUGH_BRANCH(b) {
            branch = b;
            CHECK(bough_add(b, adds_in_a_branch_of_its_own, bough_arg(NULL)));
        }
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    }
    close(fds[0]);
    close(fds[1]);
}
