/* SPDX-License-Identifier: MIT */
/* Rule 22 with an injected delay: the grace period of foreign code ends while its thread decides to wait for that
 * end. */
#include <bough.h>
#include <poll.h>
#include "hooks.h"

/* Long enough for the thread to come from the start of the grace period to the hook. */
#define GRACE_NS ((bough_time)(BOUGH_MS(100) * t_scale()))

static struct t_gate known;
static bough_thread *self;

static void *be_cut_twice(void *unused)
{
    struct bough_foreign ways = {.grace = GRACE_NS};
    hooked = t_tid();
    self = bough_self();
    CHECK_EQ(bough_foreign_set(&ways), 0);
    t_gate_open(&known);
    BOUGH_FOREIGN
    {
        CHECK_ERR(t_poll_silent(60000), EINTR);     /* stops at the hook, where the grace period has begun */
        CHECK_ERR(t_poll_silent(10000), ECANCELED); /* the second delivery of this record */
    }
    return unused;
}

TEST(a_grace_period_that_ends_while_it_is_checked_is_over)
{
    struct t_thread t;
    NEED_HOOKS();
    bo_hook_foreign_weighed = stop_here;
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    t_spawn(&t, be_cut_twice, NULL);
    t_gate_wait(&known);
    CHECK_EQ(bough_interrupt(self, "stop"), 0);
    t_gate_wait(&hook_reached);
    bough_time over = bough_now() + GRACE_NS;
    t_until(bough_now() > over);
    t_gate_open(&hook_go);
    t_join(&t);
}
