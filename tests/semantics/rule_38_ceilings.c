/* SPDX-License-Identifier: MIT */
/* Rule 38: each kind has a ceiling; nothing kills a process by surprise. */
#include "../signals/program.h"
#include "climber.h"

static struct c_handler handler;

static int hangs(void *unused)
{
    (void)unused;
    for (c_works = 1; !c_go;)
        usleep(1000);
    return 0;
}

static int hangs_with_handler(void *unused)
{
    BOUGH_HANDLE(c_handle, &handler) {
        hangs(unused);
    }
    return 0;
}

static void overdue_at(enum bough_kind kind, bough_fn *fn, int rung)
{
    struct bough_event event = {.kind = kind};
    struct bough_progress progress = {0};
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, STEP_NS, STEP_NS);
    bough_on_transition(c_note, NULL);
    BOUGH_BRANCH(b) {
        bough_thread *t = bough_add(b, fn, bough_arg(NULL));
        t_until(c_works); /* the child has its handler */
        bough_post post = bough_post_event(t, &event);
        t_until(bough_post_progress(post, &progress) == 0 && progress.overdue);
        CHECK_EQ(progress.rung, rung);
        CHECK_EQ(progress.cap, 0);
        t_until(c_has(rung, rung));
        CHECK(c_step[c_count - 1].wider == b); /* the branch around it */
        for (int i = 0; i < 3; i++) {
            usleep(260000);
            bough_post_event(t, &event);
        }
        c_go = 1;
    }
}

TEST(a_stop_is_overdue_at_the_flag)
{
    overdue_at(BOUGH_STOP, hangs, BOUGH_RUNG_FLAG);
}

TEST(a_timeout_is_overdue_at_the_flag)
{
    overdue_at(BOUGH_TIMEOUT, hangs, BOUGH_RUNG_FLAG);
}

TEST(with_handlers_a_stop_climbs_to_rung_3)
{
    overdue_at(BOUGH_SIBLING, hangs_with_handler, BOUGH_RUNG_HANDLER);
}

/* The program under test: it hangs under a ladder with these settings. */
static void hang_under(enum bough_kind kind, int64_t exit_ns)
{
    struct bough_event event = {.kind = kind, .signo = SIGTERM};
    c_times_to_the_end(exit_ns);
    BOUGH_BRANCH(b) {
        bough_add(b, hangs, bough_arg(NULL));
        bough_post_event(b, &event);
    }
}

static void hang_by_signal(void *unused)
{
    (void)unused;
    bough_signals(0);
    hang_under(BOUGH_SIGNAL, LONG_EXIT_NS);
}

static void hang_by_operator(void *unused)
{
    (void)unused;
    hang_under(BOUGH_OPERATOR, LONG_EXIT_NS);
}

static void never_returns(void)
{
    for (;;)
        pause();
}

static void hang_in_exit(void *unused)
{
    (void)unused;
    atexit(never_returns);
    hang_under(BOUGH_OPERATOR, SHORT_EXIT_NS);
}

TEST(an_ignored_signal_ends_the_process)
{
    CHECK_KILLED(t_run_status(hang_by_signal, NULL), SIGTERM);
    CHECK_EXITED(t_run_status(hang_by_operator, NULL), BOUGH_EXIT_STATUS);
    CHECK_KILLED(t_run_status(hang_in_exit, NULL), SIGKILL);
}

static void aborts(void *unused)
{
    CHECK_EQ(bough_last_words("/dev/null", -1, BOUGH_CORE), 0);
    hang_in_exit(unused);
}

TEST(the_kill_writes_a_core_if_configured)
{
    CHECK_KILLED(t_run_status(aborts, NULL), SIGABRT);
}

/* The program requests a higher ceiling for a branch. */
static void explicitly(void *unused)
{
    struct bough_ladder l = {.ceiling = {[BOUGH_STOP] = BOUGH_RUNG_EXIT}};
    (void)unused;
    c_times_to_the_end(LONG_EXIT_NS);
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_ladder_set(b, &l), 0);
        bough_add(b, hangs, bough_arg(NULL));
        bough_interrupt(b, NULL);
    }
}

TEST(a_ceiling_can_be_set)
{
    CHECK_EXITED(t_run_status(explicitly, NULL), BOUGH_EXIT_STATUS);
}

static struct seen {
    int tiers[4], count;
} * seen;

static void note_tier(void *number)
{
    seen->tiers[seen->count++] = (int)(intptr_t)number;
}

static void hang_tier(void *unused)
{
    (void)unused;
    never_returns();
}

static void with_tiers(void *unused)
{
    bough_exit_tier(2, note_tier, (void *)3);
    bough_exit_tier(1, note_tier, (void *)2);
    bough_exit_tier(1, note_tier, (void *)1);
    bough_exit_tier(3, hang_tier, NULL);
    bough_exit_tier(4, note_tier, (void *)4);
    hang_by_operator(unused);
}

TEST(exit_tiers_run_in_order_and_one_that_hangs_does_not_prevent_the_exit)
{
    seen = p_share(sizeof *seen);
    CHECK_EXITED(t_run_status(with_tiers, NULL), BOUGH_EXIT_STATUS);
    CHECK_EQ(seen->count, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(seen->tiers[i], i + 1);
}
