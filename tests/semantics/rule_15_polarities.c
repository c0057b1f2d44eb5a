/* SPDX-License-Identifier: MIT */
/* Rule 15: start deferred and protect critical sections, or start disabled and open allow regions. */
#include "target.h"

static int fds[2];
static struct t_gate at_work, allowed;

static int works_undisturbed_and_waits_in_a_region(void *unused)
{
    char byte;
    int error = 0;
    (void)unused;
    t_gate_open(&at_work);
    CHECK_EQ(bough_level(), BOUGH_DISABLED);
    CHECK_EQ(bough_read(fds[0], &byte, 1), 1); /* blocks during the post, and is not interrupted */
    CHECK_EQ(bough_interrupted(), 1);
    CHECK_EQ(bough_check(), 0);
    BOUGH_ALLOW
    {
        t_gate_open(&allowed);
        CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
        error = ECANCELED;
    }
    CHECK_EQ(bough_check(), 0);
    return error;
}

TEST(a_child_started_disabled_is_interrupted_in_allow_regions_only)
{
    struct bough_child_options options = {.disabled = 1};
    struct bough_event stop = {.kind = BOUGH_STOP};
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add_with(b, works_undisturbed_and_waits_in_a_region, bough_arg(NULL), &options);
        CHECK(child);
        t_gate_wait(&at_work);
        bough_post post = bough_post_event(child, &stop);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        t_gate_wait(&allowed);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    close(fds[0]);
    close(fds[1]);
}

static int blocks_in_an_allow_region(void *unused)
{
    char byte;
    (void)unused;
    BOUGH_ALLOW
    {
        t_gate_open(&allowed);
        CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
    }
    return ECANCELED;
}

TEST(a_call_that_blocks_in_an_allow_region_is_interrupted)
{
    struct bough_child_options options = {.disabled = 1};
    CHECK_EQ(pipe(fds), 0);
    for (int i = 0; i < 50; i++) {
        allowed = (struct t_gate){0};
        BOUGH_BRANCH(b) {
            CHECK(bough_add_with(b, blocks_in_an_allow_region, bough_arg(NULL), &options));
            t_gate_wait(&allowed);
            CHECK_EQ(bough_interrupt(b, "now"), 0);
        }
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    }
    close(fds[0]);
    close(fds[1]);
}

static int protects_its_write(void *unused)
{
    char byte;
    (void)unused;
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    BOUGH_CRITICAL(BOUGH_SEC(60)) {
        t_gate_open(&at_work);
        CHECK_EQ(bough_read(fds[0], &byte, 1), 1); /* blocks during the post, and is not interrupted */
    }
    CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
    return ECANCELED;
}

TEST(a_child_started_deferred_is_not_interrupted_in_critical_sections)
{
    at_work = (struct t_gate){0};
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, protects_its_write, bough_arg(NULL)));
        t_gate_wait(&at_work);
        CHECK_EQ(bough_interrupt(b, "now"), 0);
        CHECK_EQ(write(fds[1], "x", 1), 1);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    close(fds[0]);
    close(fds[1]);
}

static void *adopted_disabled(void *unused)
{
    struct bough_child_options options = {.name = "shy", .disabled = 1};
    (void)unused;
    CHECK(bough_adopt_with(&options));
    CHECK_ERR(bough_adopt_with(&options) ? 0 : -1, EEXIST);
    CHECK_EQ(bough_level(), BOUGH_DISABLED);
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_EQ(bough_check(), 0);
    BOUGH_ALLOW
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_check(), 0);
    CHECK_EQ(bough_release(), 0);
    CHECK_ERR(bough_adopt_with(&(struct bough_child_options){.fresh = 1}) ? 0 : -1, EINVAL);
    return NULL;
}

TEST(an_adopted_thread_can_start_disabled_too)
{
    struct t_thread other;
    t_spawn(&other, adopted_disabled, NULL);
    t_join(&other);
}
