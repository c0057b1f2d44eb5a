/* SPDX-License-Identifier: MIT */
/* Rule 34: an incident climbs one rung at a missed deadline and at a second event, and never descends; rungs that have
 * nothing to run are skipped. */
#include "climber.h"

static struct c_handler handler, final;

static int with_handler(void *unused)
{
    (void)unused;
    BOUGH_HANDLE(c_handle, &handler) {
        c_work_on();
    }
    return 0;
}

static int with_final(void *unused)
{
    (void)unused;
    BOUGH_HANDLE_FINAL(c_handle, &final) {
        c_work_on();
    }
    return 0;
}

static bough_thread *begin(bough_branch *b, bough_fn *fn, int64_t first)
{
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, first, BOUGH_SEC(600));
    bough_on_transition(c_note, NULL);
    bough_thread *t = bough_add(b, fn, bough_arg(NULL));
    CHECK(t);
    t_until(c_works);
    return t;
}

TEST(a_missed_deadline_climbs_one_rung)
{
    BOUGH_BRANCH(b) {
        int64_t posted = t_now();
        CHECK_EQ(bough_interrupt(begin(b, with_handler, STEP_NS), "stop"), 0);
        t_until(handler.ran);
        CHECK(t_now() - posted >= STEP_NS);
        CHECK_EQ(handler.rung, BOUGH_RUNG_HANDLER);
        CHECK_STR(handler.incident.record.reason, "stop");
        CHECK(handler.incident.deadline > 0);
        c_go = 1;
    }
    t_until(c_has(1, 2));
}

TEST(a_second_event_climbs_one_rung)
{
    BOUGH_BRANCH(b) {
        bough_thread *t = begin(b, with_handler, BOUGH_SEC(600));
        int64_t posted = t_now();
        CHECK_EQ(bough_interrupt(t, "one"), 0);
        CHECK_EQ(bough_interrupt(t, "the same event"), 0);
        if (t_now() - posted < BOUGH_MS(250)) { /* a thread without a processor may post two events */
            t_until(c_fails);
            CHECK_EQ(handler.ran, 0);
            usleep(260000);
            CHECK_EQ(handler.ran, 0);
        }
        CHECK_EQ(bough_interrupt(t, "two"), 0);
        t_until(handler.ran);
        CHECK_STR(handler.incident.record.reason, "one");
        c_go = 1;
    }
}

TEST(rungs_with_nothing_to_run_are_skipped)
{
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_interrupt(begin(b, with_final, STEP_NS), NULL), 0);
        t_until(final.ran);
        CHECK_EQ(final.rung, BOUGH_RUNG_FINAL);
        c_go = 1;
    }
    t_until(c_has(1, 3));
    CHECK(!c_has(1, 2));
}

TEST(an_event_may_be_posted_at_a_higher_rung)
{
    struct bough_event event = {.kind = BOUGH_STOP, .rung = BOUGH_RUNG_HANDLER};
    BOUGH_BRANCH(b) {
        CHECK(bough_post_event(begin(b, with_handler, BOUGH_SEC(600)), &event).record);
        t_until(handler.ran);
        c_go = 1;
    }
}

TEST(a_repeat_may_ask_for_a_higher_rung)
{
    struct bough_event event = {.kind = BOUGH_STOP, .rung = BOUGH_RUNG_HANDLER};
    BOUGH_BRANCH(b) {
        bough_thread *t = begin(b, with_handler, BOUGH_SEC(600));
        CHECK_EQ(bough_interrupt(t, NULL), 0);
        CHECK(bough_post_event(t, &event).record);
        t_until(handler.ran);
        c_go = 1;
    }
}

TEST(an_incident_never_descends)
{
    struct bough_progress progress;
    BOUGH_BRANCH(b) {
        bough_post post = bough_post_event(begin(b, with_handler, STEP_NS), NULL);
        t_until(handler.ran);
        for (int i = 0; i < 50; i++) {
            CHECK_EQ(bough_post_progress(post, &progress), 0);
            CHECK_EQ(progress.rung, BOUGH_RUNG_HANDLER);
            usleep(1000);
        }
        c_go = 1;
    }
}

TEST(handlers_run_once_for_each_rung)
{
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_interrupt(begin(b, with_handler, STEP_NS), NULL), 0);
        t_until(handler.ran);
        unsigned fails = c_fails;
        t_until(c_fails > fails + 20);
        CHECK_EQ(handler.ran, 1);
        c_go = 1;
    }
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

TEST(the_setting_nearest_to_the_target_counts)
{
    struct bough_ladder l;
    struct bough_ladder root = {.grace = BOUGH_SEC(60)}, mine = {.time = {[2] = BOUGH_MS(7)}};
    struct bough_ladder thread = {.ceiling = {[BOUGH_STOP] = 6}, .time = {[2] = BOUGH_MS(8)}};
    CHECK_EQ(bough_ladder_get(BOUGH_ROOT, &l), 0);
    CHECK_EQ(l.time[1] * 6, l.grace);
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &root), 0);
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_ladder_set(b, &mine), 0);
        CHECK_EQ(bough_ladder_get(b, &l), 0);
        CHECK_EQ(l.time[1], BOUGH_SEC(10));
        CHECK_EQ(l.time[2], BOUGH_MS(7));
        CHECK_EQ(l.cap, BOUGH_SEC(56));
        CHECK_EQ(l.ceiling[BOUGH_STOP], 3);
        CHECK_EQ(l.ceiling[BOUGH_SIGNAL], 6);
    }
    CHECK_EQ(bough_ladder_set(NULL, &thread), 0);
    CHECK_EQ(bough_ladder_get(NULL, &l), 0);
    CHECK_EQ(l.time[2], BOUGH_MS(8));
    CHECK_EQ(l.ceiling[BOUGH_STOP], 6);
    BOUGH_BRANCH(next) { /* a slot that was used before keeps no settings */
        CHECK_EQ(bough_ladder_get(next, &l), 0);
        CHECK_EQ(l.time[2], BOUGH_SEC(2));
    }
}

static int64_t time_for_the_dump(int64_t grace)
{
    struct bough_ladder l = {.grace = grace};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    CHECK_EQ(bough_ladder_get(BOUGH_ROOT, &l), 0);
    int64_t all = 0;
    for (int rung = 1; rung < BOUGH_RUNGS; rung++)
        all += l.time[rung];
    CHECK(all < l.cap);
    return l.time[BOUGH_RUNG_KILL];
}

/* Fixed bug: with a grace period of 1 s the dump had 67 ms, and was often truncated. */
TEST(the_dump_has_a_minimum_of_time)
{
    CHECK_EQ(time_for_the_dump(BOUGH_SEC(60)), BOUGH_SEC(4));
    CHECK_EQ(time_for_the_dump(BOUGH_SEC(3)), BOUGH_MS(500));
    CHECK_EQ(time_for_the_dump(BOUGH_SEC(1)), BOUGH_MS(200));
}

static int set_anothers(void *branch)
{
    struct bough_ladder l = {.cap = BOUGH_SEC(1)};
    CHECK_ERR(bough_ladder_set(branch, &l), EPERM);
    return 0;
}

TEST(invalid_settings_are_refused)
{
    struct bough_ladder negative = {.cap = -1}, high = {.ceiling = {[BOUGH_STOP] = 7}};
    struct bough_ladder long_time = {.grace = BOUGH_SEC(86400 * 30)}, fine = {.cap = BOUGH_SEC(1)};
    bough_branch *ended = NULL;
    CHECK_ERR(bough_ladder_set(BOUGH_ROOT, &negative), EINVAL);
    CHECK_ERR(bough_ladder_set(BOUGH_ROOT, &high), EINVAL);
    CHECK_ERR(bough_ladder_set(BOUGH_ROOT, &long_time), EINVAL);
    CHECK_ERR(bough_ladder_set(BOUGH_ROOT, NULL), EINVAL);
    CHECK_ERR(bough_ladder_get(BOUGH_ROOT, NULL), EINVAL);
    CHECK_ERR(bough_ladder_set((bough_target)&fine, &fine), EINVAL);
    BOUGH_BRANCH(b) {
        ended = b;
        bough_add(b, set_anothers, bough_arg(b));
    }
    CHECK_ERR(bough_ladder_set(ended, &fine), ESRCH);
}

/* ---- the pause of a critical section ----------------------------------------------------------------------------- */

static _Atomic int leave;

static int leaves_its_section(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_SEC(600)) {
        c_works = 1;
        t_until(leave);
    }
    c_work_on();
    return 0;
}

/* Fixed bug: the clock was paused for the whole budget, even after the section had been left. */
TEST(the_clock_continues_when_the_section_is_left)
{
    struct bough_progress before = {0}, now = {0};
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, STEP_NS, STEP_NS);
    BOUGH_BRANCH(b) {
        bough_thread *t = bough_add(b, leaves_its_section, bough_arg(NULL));
        CHECK(t);
        t_until(c_works);
        bough_post post = bough_post_event(t, NULL);
        t_until(bough_post_progress(post, &before) == 0 && before.deadline);
        t_until(bough_post_progress(post, &now) == 0 && now.deadline > before.deadline); /* paused */
        CHECK_EQ(now.overdue, 0);
        leave = 1;
        t_until(bough_post_progress(post, &now) == 0 && now.overdue);
        c_go = 1;
    }
}
