/* SPDX-License-Identifier: MIT */
/* Rules 37 and 38: the incident that reaches rung 5 first makes the exit, even if another incident reaches it before the
 * exit has begun. An incident that is handled before that makes no exit. One thread exits: main or the library's. */
#include <bough.h>
#include <signal.h>
#include "ladder/exit.h"
#include "state/arena.h"
#include "hooks.h"

static void stand_at(enum bough_kind kind, int rung)
{
    const struct bo_record *r = bo_record_of(&bo_branch_at(BO_ROOT)->t, kind);
    t_until(bo_load_seq(&r->rung) >= rung);
}

static void leave_for_two_reasons(bool first_is_handled)
{
    struct bough_event first = {.kind = BOUGH_SIGNAL, .signo = SIGTERM}, second = {.kind = BOUGH_OPERATOR};
    struct bough_ladder ladder = {.time[BOUGH_RUNG_FLAG] = BOUGH_MS(20),
                                  .time[BOUGH_RUNG_EXIT] = BOUGH_SEC(8) * t_scale()};
    ladder.grace = BOUGH_SEC(100) * t_scale();
    bo_hook_leave_begins = stop_here;
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    CHECK(bough_post_event(BOUGH_ROOT, &first).record != 0);
    t_gate_wait(&hook_reached);
    CHECK(bough_post_event(BOUGH_ROOT, &second).record != 0);
    stand_at(BOUGH_OPERATOR, BOUGH_RUNG_EXIT);
    if (first_is_handled)
        CHECK_EQ(bough_clear_kind(BOUGH_ROOT, BOUGH_SIGNAL), 1);
    t_gate_open(&hook_go);
    for (;;)
        pause();
}

TEST(a_second_incident_at_rung_5_does_not_change_the_exit_of_the_first)
{
    int status;
    NEED_HOOKS();
    pid_t child = fork();
    if (child == 0)
        leave_for_two_reasons(false);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
}

static void leave_for_the_second_reason(void *unused)
{
    (void)unused;
    leave_for_two_reasons(true);
}

/* Fixed bug: there was no exit for the second incident, which stood at rung 5 until rung 6 killed the process. */
TEST(a_second_incident_at_rung_5_makes_the_exit_if_the_first_is_handled)
{
    NEED_HOOKS();
    CHECK_EXITED(t_run_status(leave_for_the_second_reason, NULL), BOUGH_EXIT_STATUS);
}

/* ---- the incident is handled before the exit begins ---------------------------------------------------------------- */

static uint32_t exits_posted(void)
{
    return bo_record_serial(bo_load_seq(&bo_record_of(&bo_branch_at(BO_ROOT)->t, BOUGH_EXIT)->state));
}

/* Fixed bug: all threads were interrupted for an exit that was then cancelled. */
TEST(an_incident_handled_before_its_exit_begins_interrupts_no_thread)
{
    const struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "test"};
    const struct bough_ladder soon = {.cap = BOUGH_SEC(600), .time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(20)}};
    NEED_HOOKS();
    bough_set_report(keep_report);
    bo_hook_leave_begins = stop_here;
    CHECK(bough_self());
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &soon), 0);
    uint32_t before = exits_posted();
    CHECK(bough_post_event(BOUGH_ROOT, &event).record);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    t_gate_open(&hook_go);
    t_until(!bo_is_leaving());
    CHECK_EQ(exits_posted(), before);
    CHECK_EQ(bough_check(), 0);
}

/* Fixed bug: the end of the ladder's exit took back the program's. */
TEST(an_exit_of_the_program_outlives_one_of_the_ladder)
{
    const struct bough_event event = {.kind = BOUGH_OPERATOR}, exit = {.kind = BOUGH_EXIT};
    const struct bough_ladder soon = {.cap = BOUGH_SEC(600),
                                      .ceiling = {[BOUGH_EXIT] = BOUGH_RUNG_FLAG},
                                      .time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(20), [BOUGH_RUNG_EXIT] = BOUGH_SEC(60)}};
    NEED_HOOKS();
    bough_set_report(keep_report);
    bo_hook_exit_waits = stop_here;
    CHECK(bough_self());
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &soon), 0);
    bough_post program = bough_post_event(BOUGH_ROOT, &exit);
    CHECK(bough_post_event(BOUGH_ROOT, &event).record);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_clear_kind(BOUGH_ROOT, BOUGH_OPERATOR), 1);
    t_gate_open(&hook_go);
    t_until(!bo_is_leaving());
    CHECK_EQ(bough_post_status(program), BOUGH_POST_PENDING);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

/* ---- main exits at the same time ----------------------------------------------------------------------------------- */

static int is_deaf(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return 0;
}

/* Gives main time: it no longer waits now, and could exit first. */
static void give_main_time(void)
{
    usleep(500000);
}

static void main_exits_at_the_same_time(void *unused)
{
    (void)unused;
    struct bough_ladder ladder = {.cap = BOUGH_SEC(600),
                                  .time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(20), [BOUGH_RUNG_EXIT] = BOUGH_MS(400)}};
    bo_hook_exit_begins = give_main_time;
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, is_deaf, bough_arg(NULL)));
        bough_exit(3, BOUGH_SEC(600));
    }
}

/* The library's thread claims the exit before main stops waiting, because main would otherwise exit with another
 * status. */
TEST(main_that_waits_for_threads_does_not_exit_beside_the_ladder)
{
    NEED_HOOKS();
    CHECK_EXITED(t_run_status(main_exits_at_the_same_time, NULL), BOUGH_EXIT_STATUS);
}
