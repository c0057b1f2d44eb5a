/* SPDX-License-Identifier: MIT */
/* Rule 17: a critical section that has used up its budget is reported with its place and its thread, although the
 * thread has left the section and has ended before the report is written. */
#include "hooks.h"

static struct t_gate inside;
static char place[60];

static int leave_late(void *argument)
{
    (void)argument;
    snprintf(place, sizeof place, "section.c:%d in thread %d (late)", __LINE__ + 1, (int)t_tid());
    BOUGH_CRITICAL(BOUGH_MS(20)) {
        t_gate_open(&inside);
        while (bough_check() == 0)
            sched_yield();
    }
    return 0;
}

TEST(an_overrun_is_reported_although_its_section_and_its_thread_have_ended)
{
    NEED_HOOKS();
    bough_set_report(keep_report);
    bo_hook_section_overrun = stop_here;
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, leave_late, (bough_resource){0}, &(struct bough_child_options){.name = "late"}));
        t_gate_wait(&inside);
        CHECK_EQ(bough_interrupt(b, "now"), 0);
        t_gate_wait(&hook_reached);
    }
    CHECK_EQ(reports_kept(), 0);
    t_gate_open(&hook_go);
    t_until(reported("used up its budget"));
    CHECK(reported(place));
}
