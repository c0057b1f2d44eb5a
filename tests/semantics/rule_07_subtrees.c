/* SPDX-License-Identifier: MIT */
/* Rule 7: a subtree is every branch a thread has open, with their children. */
#include "target.h"

static int fds[2];

static int reads(void *unused)
{
    (void)unused;
    return read_for_ever((void *)(intptr_t)fds[0]);
}

static int opens_and_reads(void *depth)
{
    int result = 0;
    BOUGH_BRANCH(inner) {
        if (depth)
            bough_add(inner, opens_and_reads, bough_arg((char *)depth - 1));
        else
            bough_add(inner, reads, bough_arg(NULL));
        result = reads(NULL);
    }
    return result;
}

TEST(a_post_to_a_branch_reaches_its_children_and_grandchildren)
{
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, opens_and_reads, bough_arg((void *)5));
        CHECK(child);
        bough_time soon = bough_after(BOUGH_MS(5));
        while (bough_now() < soon)
            sched_yield();
        CHECK_EQ(bough_interrupt(b, "all"), 0);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_post_to_a_child_reaches_its_branches_and_nothing_else)
{
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, opens_and_reads, bough_arg((void *)3));
        bough_thread *sibling = bough_add(b, reads, bough_arg(NULL));
        CHECK(child && sibling);
        CHECK_EQ(bough_interrupt(child, "this one"), 0);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
        CHECK_EQ(bough_outcome(sibling, NULL), BOUGH_RUNNING);
        CHECK_EQ(bough_check(), 0);
        CHECK_EQ(bough_interrupt(sibling, "and now this"), 0);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 2);
    close(fds[0]);
    close(fds[1]);
}

/* The subtree has all branches that the thread has open, the outer ones as well. */
TEST(a_post_to_a_thread_reaches_the_children_of_all_its_branches)
{
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(outer) {
        CHECK(bough_add(outer, reads, bough_arg(NULL)));
        BOUGH_BRANCH(inner) {
            CHECK(bough_add(inner, reads, bough_arg(NULL)));
            CHECK_EQ(bough_interrupt(bough_self(), "me and mine"), 0);
        }
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    CHECK_EQ(bough_clear(NULL), 1);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_post_to_a_thread_alone_does_not_reach_its_branches)
{
    struct bough_event alone = {.kind = BOUGH_STOP, .flags = BOUGH_ALONE}, whole = {.kind = BOUGH_STOP};
    struct bough_tally tally;
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, reads, bough_arg(NULL)));
        CHECK(bough_post_event(bough_self(), &alone).record);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_branch_tally(b, &tally), 0);
        CHECK_EQ(tally.count[BOUGH_RUNNING], 1);
        CHECK(bough_add(b, reads, bough_arg(NULL)));          /* the branch is not marked */
        CHECK(bough_post_event(bough_self(), &whole).record); /* a repeat widens it */
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 2);
    CHECK_EQ(bough_clear(NULL), 1);
    close(fds[0]);
    close(fds[1]);
}

/* A branch consists of the threads in it: a post to the branch alone reaches none. */
TEST(a_post_to_a_branch_alone_reaches_no_thread)
{
    struct bough_event alone = {.kind = BOUGH_STOP, .flags = BOUGH_ALONE};
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, reads, bough_arg(NULL)));
        CHECK(bough_post_event(b, &alone).record);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    close(fds[0]);
    close(fds[1]);
}

static int sleeps_50_ms(void *slept)
{
    int64_t from = t_now();
    int r = bough_nanosleep(&(struct timespec){0, 50000000}, NULL);
    __atomic_store_n((int64_t *)slept, t_now() - from, __ATOMIC_RELEASE);
    return r ? errno : 0;
}

/* Fixed bug: each post to its parent woke the child, whose 50 ms then began again. */
TEST(a_post_to_a_thread_alone_does_not_disturb_its_children)
{
    struct bough_event alone = {.kind = BOUGH_STOP, .flags = BOUGH_ALONE};
    int64_t slept = 0;
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, sleeps_50_ms, bough_arg(&slept)));
        while (!__atomic_load_n(&slept, __ATOMIC_ACQUIRE)) {
            bough_post_event(bough_self(), &alone);
            bough_clear(NULL);
            spin(200000);
        }
        CHECK(slept >= ms(50));
    }
    CHECK_EQ(bough_last_result(), 0);
}

/* ---- inner and outer --------------------------------------------------------------------------------------------- */

static void expect_reason(bough_target target)
{
    struct bough_record r;
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK(r.target == target);
}

TEST(the_inner_record_is_reported_first_and_the_outer_at_the_next_point)
{
    bough_post of_outer = {0, 0}, of_inner = {0, 0};
    BOUGH_BRANCH(outer) {
        BOUGH_BRANCH(inner) {
            of_outer = post_stop(outer);
            of_inner = post_stop(inner);
            expect_reason(inner);
            CHECK_EQ(bough_post_status(of_inner), BOUGH_POST_DELIVERED);
            CHECK_EQ(bough_post_status(of_outer), BOUGH_POST_PENDING);
        }
        CHECK_EQ(bough_post_status(of_inner), BOUGH_POST_ENDED);
        CHECK_EQ(bough_last()->interrupted, 1);
        CHECK_EQ(bough_post_status(of_outer), BOUGH_POST_PENDING);
        expect_reason(outer);
        CHECK_EQ(bough_post_status(of_outer), BOUGH_POST_DELIVERED);
    }
    CHECK_EQ(bough_last()->interrupted, 1);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_branch_removes_only_its_own_records)
{
    BOUGH_BRANCH(outer) {
        BOUGH_BRANCH(inner) {
            post_stop(outer);
            expect_reason(outer);
        }
        CHECK_EQ(bough_last()->interrupted, 0);
        expect_reason(outer);
    }
    post_stop(bough_self());
    BOUGH_BRANCH(b) {
        expect_reason(bough_self());
    }
    expect_reason(bough_self());
    CHECK_EQ(bough_clear(NULL), 1);
}

/* The targets from the inside out: open branches, the thread, the branch it is a child of, that branch's owner, the
 * root. */
struct layers {
    bough_thread *owner;
    bough_branch *outside;
    struct t_gate go;
};

static int peel(void *argument)
{
    struct layers *l = argument;
    BOUGH_BRANCH(own) {
        bough_target inside_out[] = {own, bough_self(), l->outside, l->owner, BOUGH_ROOT};
        for (int i = 4; i >= 0; i--) {
            post_stop(inside_out[i]);
            expect_reason(inside_out[i]);
        }
        CHECK_EQ(bough_clear(own), 1);
        expect_reason(bough_self());
        CHECK_EQ(bough_clear(NULL), 1);
        expect_reason(l->outside);
    }
    return 0;
}

TEST(records_are_reported_from_the_inside_out)
{
    struct layers l = {.owner = bough_self()};
    BOUGH_BRANCH(b) {
        l.outside = b;
        CHECK(bough_add(b, peel, bough_arg(&l)));
    }
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

/* ---- all threads but the caller ---------------------------------------------------------------------------------- */

struct all {
    int *posted;
    struct t_gate done;
    bough_thread *posts_to[3];
};

static int interrupt_all_from_the_depth(void *argument)
{
    struct all *a = argument;
    char byte;
    *a->posted = bough_interrupt_all("everybody");
    CHECK_EQ(bough_interrupted(), 0);
    CHECK_EQ(bough_check(), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(bough_read(fds[0], &byte, 1), 1); /* not interrupted */
    t_gate_open(&a->done);
    return 0;
}

static int one_level_deeper(void *argument)
{
    struct all *a = argument;
    BOUGH_BRANCH(deep) {
        CHECK(bough_add(deep, interrupt_all_from_the_depth, bough_arg(a)));
        t_gate_wait(&a->done);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    return 0;
}

TEST(interrupt_all_reaches_every_thread_but_a_caller_deep_in_the_tree)
{
    struct target adopted = {0};
    int posted = 0;
    struct all a = {.posted = &posted};
    CHECK_EQ(pipe(fds), 0);
    target_start(&adopted);
    BOUGH_BRANCH(b) {
        bough_thread *sibling;
        int empty[2];
        CHECK_EQ(pipe(empty), 0);
        sibling = bough_add(b, read_for_ever, bough_arg((void *)(intptr_t)empty[0]));
        CHECK(sibling);
        CHECK(bough_add(b, one_level_deeper, bough_arg(&a)));
        t_gate_wait(&a.done);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_clear(NULL), 1);
        CHECK_EQ(bough_join(sibling), 0);
        target_was_cut(&adopted);
        close(empty[0]);
        close(empty[1]);
    }
    CHECK_EQ(posted, 4); /* main, the adopted thread, the sibling, the parent */
    target_end(&adopted);
    close(fds[0]);
    close(fds[1]);
}
