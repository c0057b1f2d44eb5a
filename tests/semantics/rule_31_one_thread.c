/* SPDX-License-Identifier: MIT */
/* Rule 31, in C: a branch that is left open at its thread's end is interrupted, joined and reported. */
#include "semantics/children.h"

static struct thing thing;

static int leave_open(void *unused)
{
    (void)unused;
    bough_branch *b = bough_branch_open(&(struct bough_branch_options){.label = "forgotten"});
    add(b, open_and_block, thing_of(&thing));
    t_gate_wait(&thing.there);
    return 0;
}

static void check_report(const char *by)
{
    CHECK_EQ(thing.destroyed, 1);
    CHECK(reported("forgotten"));
    CHECK(reported(by));
    CHECK(reported("bough_branch_end()"));
}

TEST(a_branch_that_a_child_leaves_open_is_ended_and_reported)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, leave_open, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), 0);
    check_report("the end of its child");
}

static void *adopted(void *unused)
{
    leave_open(unused);
    return NULL;
}

TEST(a_branch_that_an_adopted_thread_leaves_open_is_ended_and_reported)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, adopted, NULL);
    t_join(&thread);
    check_report("the end of its thread");
}

static void *adopted_exits(void *unused)
{
    leave_open(unused);
    pthread_exit(NULL);
}

TEST(a_branch_of_an_adopted_thread_that_exits_is_ended_and_reported)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, adopted_exits, NULL);
    t_join(&thread);
    check_report("the end of its thread");
}

static int exit_in_block(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(forgotten) {
        add(forgotten, open_and_block, thing_of(&thing));
        t_gate_wait(&thing.there);
        pthread_exit(NULL); /* compiled as C, without unwinding: the block's end is not run */
    }
    return 0;
}

TEST(a_branch_of_a_child_that_exits_in_a_block_is_ended_and_reported)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, exit_in_block, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EPROTO);
    check_report("the end of its child");
}

TEST(the_end_of_an_outer_branch_ends_the_inner_one_and_reports_it)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        leave_open(NULL);
    check_report("the end of the branch around it");
}

/* A failure in a branch that was left open is not lost. */
static int leave_failed_open(void *unused)
{
    (void)unused;
    bough_branch *b = bough_branch_open(NULL);
    add(b, fail_with, number(EIO));
    t_until(bough_interrupted());
    return 0;
}

TEST(the_failure_of_a_branch_left_open_becomes_the_childs)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, leave_failed_open, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EIO);
}

TEST(a_thread_with_an_open_branch_is_not_released)
{
    bough_branch *b = bough_branch_open(NULL);
    CHECK_ERR(bough_release(), EBUSY);
    CHECK_EQ(bough_branch_end(b), 0);
    CHECK_EQ(bough_release(), 0);
}

/* bough_longjmp() is a regular way out. */
static int jump_out(void *unused)
{
    struct bough_jmp jmp;
    (void)unused;
    if (bough_setjmp(&jmp) == 0) {
        BOUGH_BRANCH(forgotten) {
            add(forgotten, open_and_block, thing_of(&thing));
            t_gate_wait(&thing.there);
            bough_longjmp(&jmp, 1);
        }
        FAIL("not left");
    }
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_check(), 0);
    return 0;
}

TEST(bough_longjmp_ends_branches_without_a_report)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, jump_out, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(reports_count_, 0);
}
