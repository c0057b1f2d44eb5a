/* SPDX-License-Identifier: MIT */
/* Rules 32 and 40: reports of an exit name the threads that delay it, and not main, which waits for them. */
#include <sched.h>
#include "../signals/program.h"
#include "hooks.h"

static struct t_gate there;

/* main computes at its exit, before it waits. The report names it last nevertheless, although its slot is the first.
 * The second event, which makes the incident climb, comes while main computes. */
static _Atomic int is_reported;

static void report_place(const struct bough_transition *t, void *unused)
{
    (void)unused;
    if (is_reported)
        return;
    printf("named: %s.\n", t->place);
    fflush(stdout);
    is_reported = 1;
}

static void compute_until_reported(void)
{
    bo_hook_exit_waits = NULL;
    p_next_event();
    bough_signal_event(SIGTERM);
    while (!is_reported)
        sched_yield();
}

static void with_computing_exit(void *unused)
{
    (void)unused;
    struct t_thread thread;
    struct bough_ladder times = {.cap = BOUGH_SEC(600), .time = {[1] = BOUGH_SEC(60), [5] = BOUGH_SEC(20)}};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &times), 0);
    bough_on_transition(report_place, NULL);
    bough_signals(0);
    t_spawn(&thread, p_never_end, &there);
    t_gate_wait(&there);
    t_until_blocked(thread.tid);
    raise(SIGTERM);
    bo_hook_exit_waits = compute_until_reported;
}

TEST(main_that_waits_at_its_exit_is_not_the_cause)
{
    char text[2000];
    NEED_HOOKS();
    CHECK_KILLED(t_run_output(with_computing_exit, NULL, text, sizeof text), SIGTERM);
    t_note("output: %s", text);
    const char *report = strstr(text, "named: ");
    CHECK(report && strncmp(strchr(report, '('), "(stubborn) is ", 14) == 0);
    CHECK(strstr(report, "; and 1 more: "));
    CHECK(strstr(report, "(main)."));
}
