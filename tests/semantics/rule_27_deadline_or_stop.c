/* SPDX-License-Identifier: MIT */
/* Rule 27: a branch that its deadline ended fails with ETIMEDOUT; a branch that was stopped ends with 0, and reports
 * the stop. */
#include "semantics/children.h"

/* Sets a deadline. Called when the children have been added, because an add after the deadline would fail. */
static void soon(bough_branch *b)
{
    CHECK_EQ(bough_set_deadline(b, bough_after(BOUGH_MS(20))), 0);
}

TEST(a_branch_ended_by_its_deadline_fails_with_etimedout)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        soon(b);
        struct bough_record r;
        CHECK_EQ(until_stopped(NULL), ECANCELED);
        CHECK_EQ(bough_reason(&r), 0);
        CHECK_EQ(r.kind, BOUGH_TIMEOUT);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    CHECK_EQ(bough_last()->interrupted, 0);
    CHECK(!bough_last()->error);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_bough_deadline_block_fails_with_etimedout)
{
    BOUGH_DEADLINE(BOUGH_MS(5))
        CHECK_EQ(until_stopped(NULL), ECANCELED);
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    BOUGH_DEADLINE(BOUGH_SEC(100))
        CHECK_EQ(bough_check(), 0);
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_deadline_that_interrupted_nothing_is_no_failure)
{
    BOUGH_DEADLINE(BOUGH_MS(1))
        t_until(bough_interrupted());
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_deadline_that_kept_a_child_from_starting_counts)
{
    BOUGH_BRANCH(b, .deadline = 1)
        CHECK_ERR(bough_add(b, work, bough_arg(NULL)), ECANCELED);
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
}

TEST(a_passed_deadline_opens_a_marked_branch)
{
    BOUGH_BRANCH(b, .deadline = bough_now())
        CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
}

TEST(the_end_waits_no_longer_than_the_deadline)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        soon(b);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
}

/* Fixed bug: by rule 28 the number was attributed to an interrupt, and the child's failure was lost. */
static int time_out(void *unused)
{
    (void)unused;
    BOUGH_DEADLINE(BOUGH_MS(5))
        until_stopped(NULL);
    return bough_last_result();
}

TEST(a_child_that_returns_a_timeout_has_failed)
{
    BOUGH_BRANCH(b)
        add(b, time_out, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    CHECK_EQ(bough_last()->tally.count[BOUGH_ERROR], 1);
}

TEST(a_branch_that_was_stopped_ends_with_0)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        bough_interrupt(b, "enough");
        CHECK_ERR(bough_check(), ECANCELED);
        bough_fail(b, errno, "leaving");
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_stop_that_interrupted_nothing_is_not_reported)
{
    BOUGH_BRANCH(b)
        bough_interrupt(b, "too late");
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 0);
}

static void *stop_main(void *thread)
{
    t_until_blocked(getpid());
    CHECK_EQ(bough_interrupt(thread, "from outside"), 0);
    return NULL;
}

TEST(an_interrupt_from_further_out_stays_pending)
{
    struct t_thread other;
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        add(b, work, bough_arg(NULL));
        t_spawn(&other, stop_main, bough_self()); /* started last, because an add after the interrupt would fail */
    }
    CHECK_EQ(bough_last_result(), ECANCELED);
    CHECK_EQ(bough_last()->interrupted, 0);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    t_join(&other);
}

/* Fixed bug: without children, or without bough_fail(), the result was 0. */
TEST(a_body_that_an_outer_interrupt_ended_returns_ecanceled)
{
    struct t_thread other;
    BOUGH_BRANCH(b) {
        t_spawn(&other, stop_main, bough_self());
        CHECK_EQ(until_stopped(NULL), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), ECANCELED);
    t_join(&other);
    BOUGH_BRANCH(met_already)
        CHECK(bough_interrupted());
    CHECK_EQ(bough_last_result(), 0); /* nothing was interrupted in it */
    bough_clear(NULL);
}

TEST(a_failure_takes_precedence_over_stop_and_deadline)
{
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(5)) {
        CHECK_EQ(until_stopped(NULL), ECANCELED);
        bough_interrupt(b, "and a stop");
        bough_fail(b, EIO, "and a failure");
    }
    CHECK_EQ(bough_last_result(), EIO);
}

TEST(an_inner_branch_removes_only_its_own_interrupt)
{
    BOUGH_BRANCH(outer, .timeout = BOUGH_MS(20)) {
        BOUGH_BRANCH(inner, .timeout = BOUGH_SEC(100))
            CHECK_EQ(until_stopped(NULL), ECANCELED);
        CHECK_EQ(bough_last_result(), ECANCELED);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    BOUGH_BRANCH(outer, .timeout = BOUGH_SEC(100)) {
        BOUGH_BRANCH(inner, .timeout = BOUGH_MS(20))
            CHECK_EQ(until_stopped(NULL), ECANCELED);
        CHECK_EQ(bough_last_result(), ETIMEDOUT);
        CHECK_EQ(bough_check(), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_deadline_reaches_nested_branches)
{
    BOUGH_BRANCH(outer) {
        BOUGH_BRANCH(middle) {
            add(middle, until_stopped, bough_arg(NULL));
            BOUGH_BRANCH(inner) {
                add(inner, until_stopped, bough_arg(NULL));
                soon(outer);
            }
            CHECK_EQ(bough_last_result(), ECANCELED);
        }
        CHECK_EQ(bough_last_result(), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
}
