/* SPDX-License-Identifier: MIT */
/* Rule 32: the signals that are taken over, and their restoration. */
#include "program.h"

static volatile sig_atomic_t own_calls;

static void own_handler(int signo)
{
    (void)signo;
    own_calls++;
}

static int handled_by_own(int signo)
{
    struct sigaction now;
    return sigaction(signo, NULL, &now) == 0 && now.sa_handler == own_handler;
}

static int blocked(int signo)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, signo);
}

TEST(invalid_arguments_are_refused)
{
    CHECK_ERR(bough_signals(16), EINVAL);
    CHECK_ERR(bough_signals_undo(), ENOENT);
    CHECK_EQ(bough_signals(0), 3);
    CHECK_ERR(bough_signals(0), EALREADY);
    CHECK_ERR(bough_signals(BOUGH_SIGNALS_WAIT), EALREADY);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_ERR(bough_signals_undo(), ENOENT);
}

static char said[1024];
static int lines;

static void keep(const char *line)
{
    lines++;
    snprintf(said, sizeof said, "%s", line);
}

static void block(int how, int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    CHECK_EQ(pthread_sigmask(how, &set, NULL), 0);
}

static struct t_gate unblocked, enough;

static void *unblocks(void *unused)
{
    block(SIG_UNBLOCK, SIGTERM);
    t_gate_open(&unblocked);
    t_gate_wait(&enough);
    return unused;
}

/* Fixed bug: SIGTERM did not end such a process, and no report gave the reason. */
TEST(a_signal_that_every_thread_blocks_is_reported)
{
    struct t_thread other;
    bough_set_report(keep);
    CHECK_EQ(bough_signals(0), 3);
    CHECK_EQ(bough_signals_undo(), 0);
    block(SIG_BLOCK, SIGTERM);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 3);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_QUIET), 3);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_EQ(lines, 0);
    CHECK_EQ(bough_signals(0), 3);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_EQ(lines, 1);
    CHECK(strstr(said, "SIGTERM is blocked in every thread"));
    CHECK(strstr(said, "BOUGH_SIGNALS_WAIT"));
    t_spawn(&other, unblocks, NULL);
    t_gate_wait(&unblocked);
    CHECK_EQ(bough_signals(0), 3);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_EQ(lines, 1);
    t_gate_open(&enough);
    t_join(&other);
    block(SIG_UNBLOCK, SIGTERM);
}

TEST(undo_restores_handlers)
{
    signal(SIGINT, own_handler);
    signal(SIGHUP, SIG_IGN);
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(bough_signals(BOUGH_SIGNALS_TAKE), 3);
        CHECK(!handled_by_own(SIGINT));
        CHECK_EQ(bough_signals_undo(), 0);
        CHECK(handled_by_own(SIGINT));
        CHECK(signal(SIGHUP, SIG_IGN) == SIG_IGN);
        CHECK(signal(SIGTERM, SIG_DFL) == SIG_DFL);
    }
}

/* The harness also checks the mask and looks for threads. */
TEST(undo_restores_the_mask_and_ends_the_thread)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 3);
        CHECK(blocked(SIGINT) && blocked(SIGTERM) && blocked(SIGHUP));
        CHECK_EQ(bough_signals_undo(), 0);
        CHECK(!blocked(SIGINT) && blocked(SIGTERM) && !blocked(SIGHUP));
    }
    pthread_sigmask(SIG_UNBLOCK, &term, NULL);
}

TEST(a_handler_of_the_program_is_left_alone)
{
    signal(SIGINT, own_handler);
    CHECK_EQ(bough_signals(0), 2);
    CHECK(handled_by_own(SIGINT));
    raise(SIGINT);
    CHECK_EQ(own_calls, 1);
    CHECK_EQ(bough_check(), 0);
    CHECK_EQ(bough_signals_undo(), 0);
}

static void nohup(void *flags)
{
    signal(SIGHUP, SIG_IGN);
    CHECK_EQ(bough_signals((unsigned)(uintptr_t)flags), 2);
    kill(getpid(), SIGHUP);
    CHECK_EQ(bough_usleep(20000), 0);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_signal_that_nohup_ignores_stays_ignored)
{
    CHECK_EXITED(t_run_status(nohup, NULL), 0);
    CHECK_EXITED(t_run_status(nohup, (void *)BOUGH_SIGNALS_WAIT), 0);
}

static void takes(void *flags)
{
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, own_handler);
    CHECK_EQ(bough_signals((unsigned)(uintptr_t)flags | BOUGH_SIGNALS_TAKE), 3);
    kill(getpid(), SIGHUP);
    p_until_stopped();
    CHECK_EQ(own_calls, 0);
}

TEST(an_ignored_signal_may_be_taken_over)
{
    CHECK_KILLED(t_run_status(takes, NULL), SIGHUP);
    CHECK_KILLED(t_run_status(takes, (void *)BOUGH_SIGNALS_WAIT), SIGHUP);
}

static void nothing_to_take(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3; i++)
        signal(p_signals[i], SIG_IGN);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 0);
    CHECK_ERR(bough_signals(0), EALREADY);
    CHECK_EQ(bough_signals_undo(), 0);
}

TEST(undo_with_nothing_taken_does_not_hang)
{
    CHECK_EXITED(t_run_status(nothing_to_take, NULL), 0);
}

static void only_int(void *unused)
{
    (void)unused;
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 1);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_EQ(bough_check(), 0); /* the signal that undo sends was no event */
}

TEST(undo_with_one_signal_taken_does_not_hang)
{
    CHECK_EXITED(t_run_status(only_int, NULL), 0);
}

static void undone(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_signals(0), 3);
    CHECK_EQ(bough_signals_undo(), 0);
    raise(SIGTERM);
}

TEST(a_restored_signal_acts_as_before)
{
    CHECK_KILLED(t_run_status(undone, NULL), SIGTERM);
}

static void undone_unhandled(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_signals(0), 3);
    raise(SIGINT);
    CHECK_EQ(bough_signals_undo(), 0);
    CHECK_ERR(bough_check(), ECANCELED);
}

TEST(undo_clears_no_interrupt)
{
    CHECK_KILLED(t_run_status(undone_unhandled, NULL), SIGINT);
}

/* Signals that come while undo runs are not lost: each is an event, or has its default action. */
static void undo_storm(void *unused)
{
    (void)unused;
    struct p_sender sender = {.to_itself = 0};
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 3);
    p_send_when_blocked(&sender, SIGTERM);
    bough_usleep(1000);
    bough_signals_undo();
    t_join(&sender.thread);
    while (bough_usleep(500000) == 0)
        continue;
}

TEST(no_signal_is_lost_in_undo)
{
    for (int i = 0; i < 50; i++)
        CHECK_KILLED(t_run_status(undo_storm, NULL), SIGTERM);
}
