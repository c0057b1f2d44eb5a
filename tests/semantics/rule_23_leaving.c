/* SPDX-License-Identifier: MIT */
/* Rule 23: leaving a branch normally waits for the children; leaving it by failure interrupts them. */
#include "semantics/children.h"

static _Atomic int done;

static int finish_after_gate(void *gate)
{
    t_gate_wait(gate);
    done++;
    return 0;
}

static void *open_gate(void *gate)
{
    t_until_blocked(getpid());
    CHECK_EQ(done, 0);
    t_gate_open(gate);
    return NULL;
}

/* The child waits until main blocks in the branch's end. */
TEST(the_end_waits_for_the_children)
{
    struct t_gate gate = {0};
    struct t_thread opener;
    BOUGH_BRANCH(b) {
        add(b, finish_after_gate, bough_arg(&gate));
        t_spawn(&opener, open_gate, &gate);
    }
    CHECK_EQ(done, 1);
    CHECK_EQ(bough_last_result(), 0);
    t_join(&opener);
}

/* ---- every way out of the block ---------------------------------------------------------------------------------- */

static void by_break(void)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        if (bough_fail(b, EIO, "break"))
            break;
        FAIL("the block goes on");
    }
}

static void by_continue(void)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        if (bough_fail(b, EIO, "continue"))
            continue;
        FAIL("the block goes on");
    }
}

static int by_return(void)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        return bough_fail(b, EIO, "return");
    }
    return 0;
}

static void by_goto(void)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        bough_fail(b, EIO, "goto");
        goto out;
    }
    FAIL("the goto was not taken");
out:
    return;
}

static void by_the_end(void)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        bough_fail(b, EIO, "end");
    }
}

static void check_left(const char *how)
{
    const struct bough_ending *last = bough_last();
    CHECK_EQ(last->result, EIO);
    CHECK_STR(last->error->message, how);
    CHECK_EQ(last->tally.count[BOUGH_INTERRUPTED], 1);
    CHECK_EQ(last->tally.count[BOUGH_RUNNING], 0);
    CHECK_STR(last->label, "b");
}

TEST(all_ways_out_of_the_block_join)
{
    by_break();
    check_left("break");
    by_continue();
    check_left("continue");
    CHECK_EQ(by_return(), EIO);
    check_left("return");
    by_goto();
    check_left("goto");
    by_the_end();
    check_left("end");
}

TEST(the_block_runs_once_and_keeps_errno)
{
    int runs = 0;
    BOUGH_BRANCH(b) {
        runs++;
        add(b, work, bough_arg(NULL));
        errno = EDOM;
    }
    CHECK_EQ(errno, EDOM);
    CHECK_EQ(runs, 1);
}

static int skip_block(void *result)
{
    BOUGH_BRANCH(b, .timeout = -1)
        FAIL("the block runs");
    CHECK_EQ(errno, EINVAL);
    return (int)(intptr_t)result;
}

/* Fixed bug: only errno showed the failure. */
TEST(a_block_whose_branch_cant_be_opened_is_skipped_and_counts_as_a_failure)
{
    skip_block(NULL);
    CHECK_EQ(bough_last_result(), EINVAL);
    CHECK_STR(bough_last()->label, "b");
    CHECK(strstr(bough_last()->error->file, "rule_23_leaving.c"));
    BOUGH_BRANCH(outer)
        add(outer, skip_block, number(0));
    CHECK_EQ(bough_last_result(), EINVAL);
    CHECK(!bough_branch_open(&(struct bough_branch_options){.timeout = -1}));
    CHECK_STR(bough_last()->label, "outer"); /* a call reports the failure by its result */
}

TEST(a_branch_is_opened_and_ended_by_calls_too)
{
    bough_branch *b = bough_branch_open(&(struct bough_branch_options){.label = "by hand"});
    char name[16];
    CHECK_EQ(bough_get_name(b, name, sizeof name), 7);
    CHECK_STR(name, "by hand");
    add(b, until_stopped, bough_arg(NULL));
    CHECK_EQ(bough_fail(b, EIO, "number %d", 7), EIO);
    CHECK_EQ(bough_branch_end(b), EIO);
    CHECK_STR(bough_last()->error->message, "number 7");
    CHECK_STR(bough_last()->label, "by hand");
    CHECK_EQ(bough_branch_end(b), ESRCH);
}

/* ---- leaving by failure ------------------------------------------------------------------------------------------ */

static int fail_by_name(void *unused)
{
    (void)unused;
    return bough_fail(bough_self(), EIO, "by its own handle");
}

TEST(a_child_may_pass_its_handle_to_bough_fail)
{
    BOUGH_BRANCH(b)
        add(b, fail_by_name, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_STR(bough_last()->error->message, "by its own handle");
}

static int say_and_return_0(void *unused)
{
    (void)unused;
    bough_fail(BOUGH_SELF, EIO, "said");
    return 0;
}

TEST(bough_fail_counts_and_not_the_return_value)
{
    BOUGH_BRANCH(b)
        add(b, say_and_return_0, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EIO);
}

TEST(leaving_because_of_an_interrupt_is_no_failure)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        CHECK_EQ(bough_fail(b, ECANCELED, "left"), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK(!bough_last()->error);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

static bough_branch *others;

static int fail_others(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_fail(others, EIO, "not mine"), EPERM);
    return 0;
}

TEST(only_the_owner_may_fail_a_branch)
{
    BOUGH_BRANCH(b) {
        others = b;
        add(b, fail_others, bough_arg(NULL));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_fail(others, EIO, "stale"), ESRCH);
    CHECK_EQ(bough_fail(bough_root(), EIO, "root"), EPERM);
    CHECK_EQ(bough_fail(BOUGH_SELF, EIO, "main is no child"), EPERM);
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_fail(b, 0, "no error"), EINVAL);
        CHECK_EQ(bough_fail(b, -1, "no error"), EINVAL);
    }
    CHECK_EQ(bough_last_result(), 0);
}
