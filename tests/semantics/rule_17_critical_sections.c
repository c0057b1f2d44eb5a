/* SPDX-License-Identifier: MIT */
/* Rule 17: a critical section has a budget: it delays a stop but cannot prevent it. */
#include <poll.h>
#include <sys/epoll.h>
#include "target.h"

/* Returns when the thread is no longer protected: the time since `from`. */
static int64_t protected_since(int64_t from)
{
    while (bough_check() == 0)
        CHECK((double)(t_now() - from) < (double)ms(15000) * t_scale());
    CHECK_EQ(errno, ECANCELED);
    return t_now() - from;
}

static void about(int64_t measured, int64_t expected)
{
    CHECK(measured >= expected - ms(5));
    CHECK((double)measured < (double)expected + (double)ms(4000) * t_scale());
}

TEST(the_budget_counts_from_the_post)
{
    bough_set_report(keep_report);
    BOUGH_CRITICAL(BOUGH_MS(100)) {
        spin(ms(150)); /* uses no budget while nothing is posted */
        int64_t from = t_now();
        post_stop(bough_self());
        about(protected_since(from), ms(100));
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(the_budget_counts_from_the_entry_if_that_is_later)
{
    bough_set_report(keep_report);
    post_stop(bough_self());
    spin(ms(150));
    int64_t from = t_now();
    BOUGH_CRITICAL(BOUGH_MS(100)) {
        about(protected_since(from), ms(100));
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(the_default_budget_is_5_s)
{
    bough_set_report(keep_report);
    post_stop(bough_self());
    int64_t from = t_now();
    BOUGH_CRITICAL(0) {
        about(protected_since(from), ms(5000));
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(an_overrun_is_reported_with_its_place)
{
    bough_set_report(keep_report);
    post_stop(bough_self());
    char place[40];
    snprintf(place, sizeof place, "rule_17_critical_sections.c:%d in", __LINE__ + 1);
    BOUGH_CRITICAL(BOUGH_MS(20)) {
        BOUGH_ALLOW
        {
            protected_since(t_now());
        }
    }
    t_until(reported("used up its budget"));
    CHECK(reported(place));
    CHECK_EQ(reports_kept(), 1);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(an_overrun_is_reported_however_deep_the_regions_are)
{
    struct bough_region region[20];
    bough_set_report(keep_report);
    post_stop(bough_self());
    for (int i = 0; i < 20; i++)
        CHECK_EQ(bough_critical_begin(&region[i], BOUGH_MS(20), "deep.c", i), 0);
    protected_since(t_now());
    t_until(reported("used up its budget"));
    CHECK(reported("deep.c"));
    for (int i = 19; i >= 0; i--)
        CHECK_EQ(bough_region_end(&region[i]), 0);
    CHECK_EQ(bough_clear(NULL), 1);
}

static void *blocks_in_a_section(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    BOUGH_CRITICAL(BOUGH_MS(60)) {
        t_gate_open(&t->known);
        t->result = bough_read(t->pipe[0], &byte, 1);
        t->error = errno;
    }
    return NULL;
}

TEST(a_call_that_blocks_in_a_section_fails_when_the_budget_is_used_up)
{
    struct target t = {0};
    bough_set_report(keep_report);
    CHECK_EQ(pipe(t.pipe), 0);
    t_spawn(&t.thread, blocks_in_a_section, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    int64_t from = t_now();
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    t_join(&t.thread);
    about(t_now() - from, ms(60));
    CHECK_EQ(t.result, -1);
    CHECK_EQ(t.error, ECANCELED);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* A thread whose loop polls the event descriptor. */
TEST(the_event_descriptor_becomes_readable_when_the_budget_is_used_up)
{
    struct pollfd fd = {.fd = bough_event_fd(), .events = POLLIN};
    bough_set_report(keep_report);
    t_expect_descriptors(1);
    BOUGH_CRITICAL(BOUGH_MS(50)) {
        int64_t from = t_now();
        post_stop(bough_self());
        int early = poll(&fd, 1, 0);
        CHECK(!early || t_now() - from >= ms(50));
        CHECK_EQ(poll(&fd, 1, -1), 1);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(poll(&fd, 1, 0), 0);
}

/* ---- all pauses together ----------------------------------------------------------------------------------------- */

/* Many short sections, one after another. */
static int64_t back_to_back(int64_t budget, int64_t each)
{
    int64_t from = t_now();
    for (;;) {
        BOUGH_CRITICAL(budget) {
            for (int64_t end = t_now() + each; t_now() < end;)
                if (bough_check() < 0)
                    return t_now() - from;
        }
        CHECK((double)(t_now() - from) < (double)ms(10000) * t_scale());
    }
}

TEST(sections_back_to_back_pause_no_longer_than_one)
{
    bough_set_report(keep_report);
    post_stop(bough_self());
    about(back_to_back(BOUGH_MS(400), ms(15)), ms(400));
    /* the budget is used up: later sections do not protect from this incident. The shortest of several times counts,
     * because this thread may have no processor for a while */
    int64_t shortest = INT64_MAX;
    for (int i = 0; i < 20 && shortest >= ms(350); i++) {
        int64_t again = back_to_back(i % 2 ? BOUGH_SEC(9) : BOUGH_MS(400), ms(15));
        shortest = again < shortest ? again : shortest;
    }
    CHECK(shortest < ms(350));
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(the_smallest_budget_of_the_sections_counts)
{
    int64_t from = t_now();
    bough_set_report(keep_report);
    post_stop(bough_self());
    BOUGH_CRITICAL(BOUGH_MS(80)) {
        spin(ms(20));
    }
    BOUGH_CRITICAL(BOUGH_SEC(10)) {
        protected_since(t_now());
        about(t_now() - from, ms(80)); /* the pauses of both sections together */
    }
    CHECK_EQ(bough_clear(NULL), 1);
    post_stop(bough_self());
    from = t_now();
    BOUGH_CRITICAL(BOUGH_SEC(10)) {
        BOUGH_CRITICAL(BOUGH_MS(60)) {
            about(protected_since(from), ms(60));
        }
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

/* An inner section that ended before the post does not count. */
TEST(the_budget_of_a_section_that_ended_before_the_post_does_not_count)
{
    bough_set_report(keep_report);
    BOUGH_CRITICAL(BOUGH_MS(300)) {
        BOUGH_CRITICAL(BOUGH_MS(20)) {
        }
        int64_t from = t_now();
        post_stop(bough_self());
        about(protected_since(from), ms(300));
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_new_incident_has_a_new_account)
{
    bough_set_report(keep_report);
    for (int i = 0; i < 3; i++) {
        post_stop(bough_self());
        int64_t from = t_now();
        BOUGH_CRITICAL(BOUGH_MS(60)) {
            about(protected_since(from), ms(60));
        }
        CHECK_EQ(bough_clear(NULL), 1);
    }
}

/* A repeat belongs to the same incident: repeated posts do not prolong the pause. */
TEST(a_repeat_does_not_prolong_the_pause)
{
    bough_set_report(keep_report);
    post_stop(bough_self());
    int64_t from = t_now();
    BOUGH_CRITICAL(BOUGH_MS(100)) {
        while (bough_check() == 0) {
            bough_interrupt(bough_self(), "again");
            CHECK((double)(t_now() - from) < (double)ms(15000) * t_scale());
        }
    }
    about(t_now() - from, ms(100));
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(the_budget_holds_for_every_kind)
{
    bough_set_report(keep_report);
    for (int kind = 0; kind < BOUGH_KINDS; kind++) {
        struct bough_event event = {.kind = (enum bough_kind)kind};
        BOUGH_CRITICAL(BOUGH_MS(30)) {
            int64_t from = t_now();
            CHECK(bough_post_event(bough_self(), &event).record);
            about(protected_since(from), ms(30));
        }
        CHECK_EQ(bough_clear(NULL), 1);
    }
}

/* ---- no clock runs in a thread that was started disabled --------------------------------------------------------- */

static int disabled_for_a_while(void *unused)
{
    (void)unused;
    post_stop(bough_self());
    BOUGH_CRITICAL(BOUGH_MS(50)) { /* the thread is disabled anyway: this section pauses nothing */
        spin(ms(150));
        CHECK_EQ(bough_check(), 0);
    }
    BOUGH_ALLOW
    {
        int64_t from = t_now();
        BOUGH_CRITICAL(BOUGH_MS(100)) {
            about(protected_since(from), ms(100));
        }
    }
    CHECK_EQ(bough_check(), 0);
    return 0;
}

TEST(a_thread_started_disabled_pauses_no_clock)
{
    struct bough_child_options options = {.disabled = 1};
    bough_set_report(keep_report);
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, disabled_for_a_while, bough_arg(NULL), &options));
    }
    CHECK_EQ(bough_last_result(), 0);
}
