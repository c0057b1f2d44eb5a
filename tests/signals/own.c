/* SPDX-License-Identifier: MIT */
/* Rule 32: the program's handler or sigwait() loop reports the signals to bough. */
#include "program.h"

static void own_handler(int signo)
{
    int before = errno;
    errno = EBADF;
    CHECK(bough_signal_event(signo) > 0);
    CHECK_EQ(errno, EBADF);
    errno = before;
}

static void has_handler(void *signo)
{
    struct p_sender sender = {.to_itself = 0};
    sigaction(*(int *)signo, &(struct sigaction){.sa_handler = own_handler}, NULL);
    p_send_when_blocked(&sender, *(int *)signo);
    p_until_stopped();
    t_join(&sender.thread);
}

TEST(a_handler_of_the_program_reports_a_signal)
{
    for (int i = 0; i < 3; i++)
        CHECK_KILLED(t_run_status(has_handler, (void *)(uintptr_t)&p_signals[i]), p_signals[i]);
    int other = SIGUSR2;
    CHECK_KILLED(t_run_status(has_handler, &other), SIGUSR2);
}

/* SIGQUIT writes a core by default, which the test prevents. */
TEST(without_a_core)
{
    int quit = SIGQUIT, status = t_run_status(has_handler, &quit);
    CHECK_KILLED(status, SIGQUIT);
    CHECK(!WCOREDUMP(status));
}

static void *sigwait_loop(void *set)
{
    for (int signo; sigwait(set, &signo) == 0;)
        bough_signal_event(signo);
    return NULL;
}

static void has_loop(void *signo)
{
    sigset_t set;
    struct t_thread thread;
    struct p_sender sender = {.to_itself = 0};
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    t_spawn(&thread, sigwait_loop, &set);
    p_send_when_blocked(&sender, *(int *)signo);
    p_until_stopped();
    t_join(&sender.thread);
}

TEST(a_sigwait_loop_reports_a_signal)
{
    for (int i = 0; i < 3; i++)
        CHECK_KILLED(t_run_status(has_loop, (void *)(uintptr_t)&p_signals[i]), p_signals[i]);
}

static void interruptible_loop(void *unused)
{
    (void)unused;
    sigset_t set;
    int signo;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(SIGTERM);
    while (bough_sigwait(&set, &signo) == 0)
        CHECK_EQ(bough_signal_event(signo), 1);
}

TEST(bough_sigwait_in_main_reports_a_signal)
{
    CHECK_KILLED(t_run_status(interruptible_loop, NULL), SIGTERM);
}

/* Signals that do not end a process by default, and numbers that are no signal: the exit status is 128 plus the number,
 * as in a shell. */
static void has_number(void *number)
{
    struct bough_record record;
    int n = *(int *)number;
    CHECK_EQ(bough_signal_event(n), 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_reason(&record), 0);
    CHECK_EQ(record.signo, n);
    p_until_stopped();
}

TEST(other_numbers_become_the_exit_status)
{
    int winch = SIGWINCH, stop = SIGTSTP, strange = 1000;
    CHECK_EXITED(t_run_status(has_number, &winch), 128 + SIGWINCH);
    CHECK_EXITED(t_run_status(has_number, &stop), 128 + SIGTSTP);
    CHECK_EXITED(t_run_status(has_number, &strange), 128 + 1000 % 128);
}

static void says_handled(void *unused)
{
    (void)unused;
    int64_t begun = t_now();
    CHECK_EQ(bough_signal_event(SIGTERM), 1);
    int again = bough_signal_event(SIGTERM);
    if (t_now() - begun >= BOUGH_MS(250))
        _exit(P_TOO_SLOW);
    CHECK_EQ(again, 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    CHECK_EQ(bough_signal_event(SIGTERM), 1);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

TEST(a_reported_signal_can_be_cleared)
{
    CHECK_EXITED(p_run_in_time(says_handled), 0);
}

static void third(void *unused)
{
    (void)unused;
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(bough_signal_event(SIGTERM), i);
        p_next_event();
    }
}

TEST(the_third_reported_signal_is_final)
{
    CHECK_KILLED(t_run_status(third, NULL), SIGTERM);
}

/* The signal is not reported to bough: no thread is interrupted, and the process exits as without bough. */
static void not_interrupted(void *unused)
{
    (void)unused;
    BOUGH_DEADLINE(BOUGH_MS(1))
        bough_sleep(60);
    CHECK_EQ(bough_check(), 0);
    raise(SIGTERM);
}

TEST(a_program_that_does_not_report_signals_dies_at_once)
{
    CHECK_KILLED(t_run_status(not_interrupted, NULL), SIGTERM);
}
