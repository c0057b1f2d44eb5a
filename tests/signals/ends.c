/* SPDX-License-Identifier: MIT */
/* Rule 32: ends of the process that do less than exit() in main: exit() in other threads, quick_exit() and
 * bough_exit_now(). */
#include "program.h"

struct end {
    void (*by)(void);
    unsigned flags;
    int cleared, in_thread;
};

static void by_exit(void)
{
    exit(3);
}

static void by_quick_exit(void)
{
    quick_exit(3);
}

static void by_exit_now(void)
{
    bough_exit_now(3);
}

/* Ends this process with the status of the child process. */
static void by_exit_now_of_a_child(void)
{
    pid_t pid = fork();
    int status = 0;
    if (pid == 0)
        bough_exit_now(3);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    bough_exit_now(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void *ends_here(void *by)
{
    (*(void (**)(void))by)();
    return NULL;
}

static void is_asked_and_ends(void *argument)
{
    struct end *end = argument;
    struct t_thread thread;
    CHECK_EQ(bough_signals(end->flags), 3);
    raise(SIGTERM);
    p_until_stopped();
    if (end->cleared)
        CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    if (!end->in_thread)
        end->by();
    t_spawn(&thread, ends_here, &end->by);
    t_join(&thread);
}

static int status_of(void (*by)(void), unsigned flags, int cleared, int in_thread)
{
    return t_run_status(is_asked_and_ends, &(struct end){by, flags, cleared, in_thread});
}

TEST(exit_in_another_thread_keeps_the_signals_status_if_the_flag_is_set)
{
    CHECK_KILLED(status_of(by_exit, BOUGH_SIGNALS_STATUS, 0, 1), SIGTERM);
    CHECK_EXITED(status_of(by_exit, BOUGH_SIGNALS_STATUS, 1, 1), 3);
    CHECK_EXITED(status_of(by_exit, 0, 0, 1), 3);
}

TEST(quick_exit_keeps_the_signals_status_if_the_flag_is_set)
{
    for (int in_thread = 0; in_thread < 2; in_thread++) {
        CHECK_KILLED(status_of(by_quick_exit, BOUGH_SIGNALS_STATUS, 0, in_thread), SIGTERM);
        CHECK_EXITED(status_of(by_quick_exit, BOUGH_SIGNALS_STATUS, 1, in_thread), 3);
        CHECK_EXITED(status_of(by_quick_exit, 0, 0, in_thread), 3);
    }
}

TEST(bough_exit_now_keeps_the_signals_status)
{
    for (int in_thread = 0; in_thread < 2; in_thread++) {
        CHECK_KILLED(status_of(by_exit_now, 0, 0, in_thread), SIGTERM);
        CHECK_EXITED(status_of(by_exit_now, 0, 1, in_thread), 3);
    }
    CHECK_EXITED(status_of(by_exit_now_of_a_child, 0, 0, 0), 3);
}

static int handler_ran;

static void note_handler(void)
{
    handler_ran++;
}

static void exit_with_the_count(void)
{
    bough_exit_now(handler_ran);
}

static void handlers_of_quick_exit(void *unused)
{
    (void)unused;
    at_quick_exit(exit_with_the_count);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_STATUS), 3);
    at_quick_exit(note_handler);
    quick_exit(3);
}

TEST(without_a_signal_all_handlers_of_quick_exit_run)
{
    CHECK_EXITED(t_run_status(handlers_of_quick_exit, NULL), 1);
}

static void is_not_known(void *unused)
{
    (void)unused;
    bough_exit_now(7);
}

TEST(bough_exit_now_is_an_ordinary_exit_without_a_signal)
{
    CHECK_EXITED(t_run_status(is_not_known, NULL), 7);
}
