/* SPDX-License-Identifier: MIT */
/* Rule 25: body and children are equals; a child stopped alone is an outcome; a supervisor isolates failures. */
#include "semantics/children.h"

static size_t count(enum bough_outcome outcome)
{
    return bough_last()->tally.count[outcome];
}

TEST(the_first_failure_interrupts_the_siblings)
{
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 5; i++)
            add(b, until_stopped, bough_arg(NULL));
        add(b, fail_with, number(EIO));
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(count(BOUGH_INTERRUPTED), 5);
    CHECK_EQ(count(BOUGH_ERROR), 1);
    CHECK_EQ(bough_last()->error->count, 0);
}

static int fail_at_gate(void *gate)
{
    t_gate_wait(gate);
    return bough_fail(BOUGH_SELF, EIO, "behind the gate");
}

static void *open_when_main_blocks(void *gate)
{
    t_until_blocked(getpid());
    t_gate_open(gate);
    return NULL;
}

TEST(the_first_failure_wakes_a_blocked_body)
{
    struct t_gate gate = {0};
    struct t_thread opener;
    struct bough_record r;
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, fail_at_gate, bough_arg(&gate), &(struct bough_child_options){.name = "worker"}));
        t_spawn(&opener, open_when_main_blocks, &gate);
        CHECK_EQ(until_stopped(NULL), ECANCELED);
        CHECK_EQ(bough_reason(&r), 0);
        CHECK_EQ(r.kind, BOUGH_SIBLING);
        CHECK(r.target == (bough_target)b);
        CHECK_STR(r.reason, "worker in b failed: behind the gate");
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_check(), 0); /* the branch's interrupt was removed with the branch */
    t_join(&opener);
}

TEST(the_bodys_failure_interrupts_the_children_at_once)
{
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, until_stopped, bough_arg(NULL));
        bough_fail(b, EIO, "test");
        t_until(bough_outcome(child, NULL) == BOUGH_INTERRUPTED);
    }
    CHECK_EQ(bough_last_result(), EIO);
}

/* Fixed bug: the branch returned ECANCELED, although nothing around it was interrupted. */
TEST(a_child_stopped_alone_is_an_outcome)
{
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, until_stopped, bough_arg(NULL));
        add(b, work, bough_arg(NULL));
        CHECK_EQ(bough_interrupt(child, "only this one"), 0);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_check(), 0);
        add(b, work, bough_arg(NULL)); /* the branch is not marked */
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 0);
    CHECK_EQ(count(BOUGH_INTERRUPTED), 1);
    CHECK_EQ(count(BOUGH_OK), 2);
}

TEST(a_failure_interrupts_a_tree_below)
{
    struct t_gate gate = {0};
    BOUGH_BRANCH(b) {
        BOUGH_BRANCH(inner) {
            add(inner, until_stopped, bough_arg(NULL));
            add(b, fail_at_gate, bough_arg(&gate));
            t_gate_open(&gate);
        }
        CHECK_EQ(bough_last_result(), ECANCELED); /* by an outer interrupt */
    }
    CHECK_EQ(bough_last_result(), EIO);
}

/* ---- supervisor -------------------------------------------------------------------------------------------------- */

TEST(a_supervisor_isolates_failures)
{
    struct t_gate gate = {0};
    BOUGH_BRANCH(b, .supervisor = 1) {
        add(b, wait_for_gate, bough_arg(&gate));
        bough_thread *bad = bough_add(b, fail_with, number(EIO));
        bough_join(bad);
        CHECK_EQ(bough_check(), 0);
        int result;
        CHECK_EQ(bough_outcome(bad, &result), BOUGH_ERROR); /* failed children are kept */
        CHECK_EQ(result, EIO);
        add(b, work, bough_arg(NULL));
        t_gate_open(&gate);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(count(BOUGH_OK), 2);
    CHECK_EQ(count(BOUGH_ERROR), 1);
    CHECK_EQ(bough_last()->error->code, EIO);
}

/* Fixed bug: the result was the failure of an isolated child, and the body's failure, as the 65th, was dropped. */
TEST(the_bodys_failure_counts_under_a_supervisor)
{
    BOUGH_BRANCH(b, .supervisor = 1) {
        for (int i = 0; i < 100; i++)
            bough_join(bough_add(b, fail_with, number(EDOM)));
        add(b, until_stopped, bough_arg(NULL));
        bough_fail(b, EIO, "the body");
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_STR(bough_last()->error->message, "the body");
    CHECK_EQ(count(BOUGH_ERROR), 100);
    CHECK_EQ(count(BOUGH_INTERRUPTED), 1);
    CHECK_EQ(bough_last()->error->count, 64); /* the number of failures whose evidence is kept */
    CHECK_EQ(bough_last()->error->attached[0]->code, EDOM);
}

TEST(a_supervisor_is_stopped_like_any_branch)
{
    BOUGH_BRANCH(b, .supervisor = 1) {
        for (int i = 0; i < 3; i++)
            add(b, until_stopped, bough_arg(NULL));
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1);
    CHECK_EQ(count(BOUGH_INTERRUPTED), 3);
}

static int supervise(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(inner, .supervisor = 1)
        add(inner, fail_with, number(EIO));
    return 0;
}

TEST(an_isolated_failure_is_not_attached_to_other_branches)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, supervise, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(reports_count_, 0);
}
