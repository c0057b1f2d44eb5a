/* SPDX-License-Identifier: MIT */
/* Rules 34 to 36: an event, a handler and its verdict are about one post, although the incident climbs meanwhile, or
 * its record is cleared and posted again. */
#include "../races/hooks.h"
#include "../semantics/climber.h"

static struct c_handler inner;
static bough_thread *target;
static bough_post again;

static int handles(void *unused)
{
    (void)unused;
    BOUGH_HANDLE(c_handle, &inner)
        c_work_on();
    return 0;
}

static bough_post post_to_the_handler(bough_branch *b)
{
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_SEC(600), BOUGH_SEC(600));
    target = bough_add(b, handles, bough_arg(NULL));
    t_until(c_works);
    return bough_post_event(target, &(struct bough_event){.rung = BOUGH_RUNG_HANDLER});
}

__attribute__((unused)) static void post_another(void)
{
    bo_hook_handler_chosen = NULL;
    CHECK_EQ(bough_clear(NULL), 1);
    again = bough_post_event(bough_self(), &(struct bough_event){.reason = "again"});
}

/* Fixed race: the handler ran, at rung 2, for the later post, which was at rung 1. */
TEST(a_handler_does_not_run_for_a_later_post)
{
    NEED_HOOKS();
    BOUGH_BRANCH(b) {
        bo_hook_handler_chosen = post_another;
        post_to_the_handler(b);
        t_until(again.record && bough_post_status(again) != BOUGH_POST_PENDING);
        CHECK_EQ(inner.ran, 0);
        c_go = 1;
    }
}

__attribute__((unused)) static void climb(void)
{
    struct bough_progress progress = {0};
    bo_hook_handler_chosen = NULL;
    again = bough_post_event(bough_self(), &(struct bough_event){.rung = BOUGH_RUNG_FINAL});
    while (progress.rung < BOUGH_RUNG_FINAL)
        CHECK_EQ(bough_post_progress(again, &progress), 0);
}

static int ends(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    c_go = 1;
    return BOUGH_LEAVE;
}

static int handles_finally(void *unused)
{
    BOUGH_HANDLE_FINAL(ends, NULL)
        handles(unused);
    return 0;
}

/* Fixed race: the record in the incident was at another rung than the incident. */
TEST(an_incident_that_climbs_is_described_with_one_rung)
{
    NEED_HOOKS();
    BOUGH_BRANCH(b) {
        bough_set_report(c_silent);
        c_times(BOUGH_ROOT, BOUGH_SEC(600), BOUGH_SEC(600));
        bo_hook_handler_chosen = climb;
        target = bough_add(b, handles_finally, bough_arg(NULL));
        t_until(c_works);
        bough_post_event(target, &(struct bough_event){.rung = BOUGH_RUNG_HANDLER});
    }
    CHECK_EQ(inner.ran, 1);
    CHECK_EQ(inner.incident.rung, BOUGH_RUNG_HANDLER);
    CHECK_EQ(inner.incident.record.rung, BOUGH_RUNG_HANDLER);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static bough_post second_event(bough_branch *b)
{
    usleep(260000); /* posts within 250 ms are one event */
    return bough_post_event(b, NULL);
}

/* Fixed race: the second event of the later post counted as one that the ladder had dealt with. */
TEST(an_event_of_a_later_post_is_not_missed)
{
    struct bough_progress progress = {0};
    NEED_HOOKS();
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_SEC(600), BOUGH_SEC(600));
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, handles, bough_arg(NULL)));
        t_until(c_works);
        bough_post_event(b, NULL);
        bo_hook_step_decided = stop_here;
        second_event(b);
        t_gate_wait(&hook_reached);
        CHECK_EQ(bough_clear(b), 1);
        bough_post_event(b, NULL);
        t_gate_open(&hook_go);
        again = second_event(b);
        t_until(bough_post_progress(again, &progress) == 0 && progress.rung > BOUGH_RUNG_FLAG);
        c_go = 1;
    }
}
