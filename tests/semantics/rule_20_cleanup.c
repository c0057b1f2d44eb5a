/* SPDX-License-Identifier: MIT */
/* Rule 20: a cleanup region protects from records delivered before it, for a grace period that counts from the
 * delivery. */
#include "target.h"

static int fds[2];

static void be_interrupted(void)
{
    post_stop(bough_self());
    CHECK_ERR(bough_check(), ECANCELED);
}

static int works(void)
{
    return bough_nanosleep(&(struct timespec){0, 1}, NULL) == 0;
}

TEST(a_record_delivered_before_makes_no_call_fail)
{
    be_interrupted();
    CHECK(!works());
    BOUGH_CLEANUP(0) {
        CHECK(works());
        CHECK_EQ(bough_check(), 0);
        CHECK_EQ(bough_interrupted(), 1); /* the query still reports the record */
        BOUGH_CLEANUP(0) {
            CHECK(works());
        }
        CHECK(works());
    }
    CHECK(!works());
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_record_that_was_not_delivered_yet_is_delivered)
{
    post_stop(bough_self());
    BOUGH_CLEANUP(0) {
        CHECK(!works());
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_later_record_is_delivered)
{
    struct bough_event later = {.kind = BOUGH_EXIT};
    be_interrupted();
    BOUGH_CLEANUP(0) {
        CHECK(works());
        bough_post post = bough_post_event(bough_self(), &later);
        CHECK(!works());
        CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
        BOUGH_CLEANUP(0) { /* an inner region protects from the later record as well */
            CHECK(works());
        }
        CHECK(!works());
    }
    CHECK_EQ(bough_clear(NULL), 2);
}

/* A repeated post makes no new record. */
TEST(a_repeated_post_is_not_delivered)
{
    be_interrupted();
    BOUGH_CLEANUP(0) {
        post_stop(bough_self());
        CHECK(works());
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

static void *blocks_in_cleanup(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    be_interrupted();
    BOUGH_CLEANUP(BOUGH_SEC(600)) {
        t_gate_open(&t->known);
        t->result = bough_read(t->pipe[0], &byte, 1);
        t->error = errno;
    }
    return NULL;
}

TEST(a_later_record_ends_a_call_that_blocks_in_the_region)
{
    struct target t = {0};
    struct bough_event later = {.kind = BOUGH_EXIT};
    CHECK_EQ(pipe(t.pipe), 0);
    t_spawn(&t.thread, blocks_in_cleanup, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(bough_interrupt(t.self, "a repeat"), 0);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(t.result, 0);
    CHECK(bough_post_event(t.self, &later).record);
    t_join(&t.thread);
    CHECK_EQ(t.result, -1);
    CHECK_EQ(t.error, ECANCELED);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* ---- the grace period -------------------------------------------------------------------------------------------- */

/* `measured` begins before the delivery, from which the grace period counts: the measured time is never shorter. */
static void about(int64_t measured, int64_t expected)
{
    CHECK(measured >= expected);
    CHECK((double)measured < (double)expected + (double)ms(4000) * t_scale());
}

static void until_it_is_due(void)
{
    int64_t from = t_now();
    while (bough_check() == 0)
        CHECK((double)(t_now() - from) < (double)ms(15000) * t_scale());
}

TEST(the_grace_period_counts_from_the_delivery)
{
    int64_t from = t_now();
    be_interrupted();
    spin(ms(60));
    BOUGH_CLEANUP(BOUGH_MS(100)) {
        until_it_is_due();
        about(t_now() - from, ms(100));
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(the_default_grace_period_is_5_s)
{
    int64_t from = t_now();
    be_interrupted();
    BOUGH_CLEANUP(0) {
        until_it_is_due();
        about(t_now() - from, ms(5000));
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_blocked_call_is_interrupted_when_the_grace_period_is_over)
{
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 20; i++) {
        char byte;
        int64_t from = t_now();
        be_interrupted();
        BOUGH_CLEANUP(BOUGH_MS(30)) {
            CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
            about(t_now() - from, ms(30));
        }
        CHECK_EQ(bough_clear(NULL), 1);
    }
    close(fds[0]);
    close(fds[1]);
}

static int cleans_up_in_an_allow_region(void *unused)
{
    char byte;
    (void)unused;
    BOUGH_ALLOW
    {
        be_interrupted();
    }
    BOUGH_CLEANUP((int64_t)(BOUGH_MS(50) * t_scale())) {
        CHECK_EQ(bough_check(), 0);
        BOUGH_ALLOW
        {
            CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
        }
    }
    return 0;
}

TEST(the_grace_period_ends_in_a_thread_started_disabled_too)
{
    struct bough_child_options disabled = {.disabled = 1};
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, cleans_up_in_an_allow_region, bough_arg(NULL), &disabled));
    }
    CHECK_EQ(bough_last_result(), 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_critical_section_in_the_region_does_not_stop_the_grace_period)
{
    char byte;
    bough_set_report(keep_report);
    CHECK_EQ(pipe(fds), 0);
    be_interrupted();
    BOUGH_CLEANUP(BOUGH_MS(60)) {
        BOUGH_CRITICAL(0) {
            spin(ms(5));
        }
        CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
    }
    CHECK_EQ(bough_clear(NULL), 1);
    close(fds[0]);
    close(fds[1]);
}

/* ---- branches opened in it --------------------------------------------------------------------------------------- */

static int works_in_a_child(void *worked)
{
    *(int *)worked = works() && bough_check() == 0;
    return 0;
}

static int fail_or_work(void)
{
    int worked = 0;
    BOUGH_BRANCH(cleaning) {
        bough_add(cleaning, works_in_a_child, bough_arg(&worked));
    }
    return worked;
}

TEST(branches_opened_in_the_region_are_protected)
{
    be_interrupted();
    CHECK(!fail_or_work());
    BOUGH_CLEANUP(0) {
        CHECK(fail_or_work());
        BOUGH_BRANCH(outer) {
            CHECK(fail_or_work());
            bough_check();
        }
        CHECK_EQ(bough_last_result(), 0);
    }
    CHECK(!fail_or_work());
    CHECK_EQ(bough_clear(NULL), 1);
}

/* The delivered record may stand against a branch or the root. */
TEST(records_of_outer_targets_are_held_off_as_well)
{
    BOUGH_BRANCH(b) {
        post_stop(b);
        CHECK_ERR(bough_check(), ECANCELED);
        BOUGH_CLEANUP(0) {
            CHECK(works());
            CHECK(fail_or_work());
        }
        CHECK(!works());
    }
    post_stop(BOUGH_ROOT);
    CHECK_ERR(bough_check(), ECANCELED);
    BOUGH_CLEANUP(0) {
        CHECK(works());
        CHECK(fail_or_work());
    }
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

TEST(a_child_of_a_branch_in_the_region_is_interrupted_when_the_grace_period_is_over)
{
    int64_t grace = (int64_t)((double)ms(50) * t_scale());
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 10; i++) {
        int64_t from = t_now();
        be_interrupted();
        BOUGH_CLEANUP(grace) {
            bough_thread *child = NULL;
            BOUGH_BRANCH(b) {
                child = bough_add(b, read_for_ever, bough_arg((void *)(intptr_t)fds[0]));
                if (!child) { /* the grace period was over by then */
                    CHECK_EQ(errno, ECANCELED);
                    CHECK(t_now() - from >= grace);
                }
            }
            CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], child != NULL);
        }
        about(t_now() - from, grace);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    close(fds[0]);
    close(fds[1]);
}

TEST(a_later_record_reaches_the_children_of_a_branch_in_the_region)
{
    struct bough_event later = {.kind = BOUGH_EXIT};
    CHECK_EQ(pipe(fds), 0);
    be_interrupted();
    BOUGH_CLEANUP(0) {
        BOUGH_BRANCH(b) {
            CHECK(bough_add(b, read_for_ever, bough_arg((void *)(intptr_t)fds[0])));
            CHECK(bough_post_event(bough_self(), &later).record);
        }
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    }
    CHECK_EQ(bough_clear(NULL), 2);
    close(fds[0]);
    close(fds[1]);
}
