/* SPDX-License-Identifier: MIT */
/* Rule 32: the main cases of signals and exit. tests/signals/ has all cases, for example daemons, shells, forks, exits
 * by other threads. */
#include "../signals/program.h"

static int sleeps(void *unused)
{
    (void)unused;
    return bough_sleep(600) == 0 ? 0 : errno;
}

static void is_stopped_with_a_child(void *unused)
{
    struct p_sender sender = {.to_itself = 0};
    (void)unused;
    CHECK_EQ(bough_signals(0), 3);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, sleeps, bough_arg(NULL)));
        p_send_when_blocked(&sender, SIGTERM);
        p_until_stopped();
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    t_join(&sender.thread);
}

TEST(an_unhandled_signal_interrupts_everything_and_is_raised_again_at_the_end)
{
    CHECK_KILLED(t_run_status(is_stopped_with_a_child, NULL), SIGTERM);
}

static void handles_it(void *unused)
{
    struct p_sender sender = {.to_itself = 0};
    (void)unused;
    CHECK_EQ(bough_signals(0), 3);
    p_send_when_blocked(&sender, SIGINT);
    p_until_stopped();
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    CHECK_EQ(bough_check(), 0);
    t_join(&sender.thread);
}

TEST(a_handled_ctrl_c_unmarks_the_root_and_the_exit_is_an_ordinary_one)
{
    int status = t_run_status(handles_it, NULL);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

static void returns(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_signals(0), 3);
    CHECK_EQ(bough_interrupted(), 0);
}

TEST(an_ordinary_return_of_main_interrupts_no_thread)
{
    int status = t_run_status(returns, NULL);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}
