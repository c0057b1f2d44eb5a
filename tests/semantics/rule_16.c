/* SPDX-License-Identifier: MIT */
/* Rule 16 is Python's table; what it rests on in C: who is interrupted where. */
#include "target.h"

struct seen {
    struct t_gate posted, ready;
    int at_check, at_call, disabled, allowed, critical;
};

static int cut(void)
{
    struct timespec none = {0, 1};
    return bough_nanosleep(&none, NULL) < 0 && errno == ECANCELED;
}

static int look(void *argument)
{
    struct seen *s = argument;
    t_gate_open(&s->ready);
    t_gate_wait(&s->posted);
    s->at_check = bough_check() < 0;
    s->at_call = cut();
    BOUGH_ALLOW
    {
        s->allowed = cut();
    }
    BOUGH_CRITICAL(0) {
        s->critical = cut();
    }
    return 0;
}

static struct seen seen_by(int disabled)
{
    struct seen s = {0};
    struct bough_child_options options = {.disabled = disabled != 0};
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, look, bough_arg(&s), &options));
        t_gate_wait(&s.ready);
        CHECK_EQ(bough_interrupt(b, "test"), 0);
        t_gate_open(&s.posted);
    }
    return s;
}

TEST(a_child_is_interrupted_at_checks_and_blocking_calls)
{
    struct seen s = seen_by(0);
    CHECK_EQ(s.at_check, 1);
    CHECK_EQ(s.at_call, 1);
    CHECK_EQ(s.allowed, 1);
    CHECK_EQ(s.critical, 0);
}

TEST(a_child_started_disabled_is_interrupted_in_allow_regions)
{
    struct seen s = seen_by(1);
    CHECK_EQ(s.at_check, 0);
    CHECK_EQ(s.at_call, 0);
    CHECK_EQ(s.allowed, 1);
    CHECK_EQ(s.critical, 0);
}
