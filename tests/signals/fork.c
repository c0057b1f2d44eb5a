/* SPDX-License-Identifier: MIT */
/* Rule 32 in a forked child that does not call exec. */
#include <dirent.h>
#include "program.h"

static int status_of(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

/* Waits until no library thread is being started: such a thread may hold a lock of a sanitizer that the child would
 * wait for. */
static void until_others_sleep(void)
{
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        pid_t tid = atoi(entry->d_name);
        if (tid > 0 && tid != t_tid())
            t_until_blocked(tid);
    }
    closedir(tasks);
}

static int count_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));)
        count += atoi(entry->d_name) > 0;
    closedir(tasks);
    return count;
}

static int quick(void *unused)
{
    (void)unused;
    return 0;
}

static _Atomic int running;

static int sleeper(void *unused)
{
    (void)unused;
    running++;
    return bough_sleep(60) ? errno : 0;
}

/* An interrupt of the parent does not carry over to the child. */
static void forks_when_interrupted(void *unused)
{
    (void)unused;
    bough_signals(0);
    raise(SIGINT);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(bough_check(), 0);
        exit(4);
    }
    CHECK_EXITED(status_of(pid), 4);
    CHECK_ERR(bough_check(), ECANCELED);
}

TEST(a_signal_to_the_parent_does_not_interrupt_the_child)
{
    CHECK_KILLED(t_run_status(forks_when_interrupted, NULL), SIGINT);
}

/* The child counts its events from 1, whatever the parent has counted. */
static void child_is_interrupted(void *unused)
{
    (void)unused;
    bough_signals(0);
    raise(SIGINT);
    p_next_event();
    raise(SIGINT);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(bough_signals(0), 3);
        raise(SIGTERM);
        p_until_stopped();
        exit(0);
    }
    CHECK_KILLED(status_of(pid), SIGTERM);
}

TEST(a_child_counts_its_events_separately)
{
    needs_threads_after_fork();
    CHECK_KILLED(t_run_status(child_is_interrupted, NULL), SIGINT);
}

/* The child reaches no point, and dies by the signal as without the library. */
static pid_t fork_one_that_computes(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (volatile unsigned i = 0;; i++)
            ;
    return pid;
}

static void child_computes(void *flags)
{
    CHECK_EQ(bough_signals((unsigned)(uintptr_t)flags), 3);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork_one_that_computes();
        kill(pid, p_signals[i]);
        CHECK_KILLED(status_of(pid), p_signals[i]);
    }
}

TEST(a_child_that_does_not_use_the_library_dies_of_each_signal)
{
    CHECK_EXITED(t_run_status(child_computes, (void *)0), 0);
}

TEST(a_daemons_child_does_not_inherit_blocked_signals)
{
    CHECK_EXITED(t_run_status(child_computes, (void *)BOUGH_SIGNALS_WAIT), 0);
}

static void daemon_blocks_one_itself(void *unused)
{
    (void)unused;
    sigset_t set, now;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 3);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_sigmask(SIG_SETMASK, NULL, &now);
        exit(sigismember(&now, SIGHUP) && !sigismember(&now, SIGTERM) ? 0 : 1);
    }
    CHECK_EXITED(status_of(pid), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, SIGTERM));
}

TEST(a_daemons_child_keeps_what_the_program_had_blocked)
{
    CHECK_EXITED(t_run_status(daemon_blocks_one_itself, NULL), 0);
}

static void handled_by_the_program(int signo)
{
    _exit(signo == SIGTERM ? 5 : 6);
}

/* The library has taken the signal over from a handler, which is restored in the child; a handler that was installed
 * later stays. */
static void handlers_of_the_program(void *unused)
{
    (void)unused;
    signal(SIGTERM, handled_by_the_program);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_TAKE), 3);
    signal(SIGHUP, handled_by_the_program);
    pid_t term = fork_one_that_computes(), hup = fork_one_that_computes();
    kill(term, SIGTERM);
    kill(hup, SIGHUP);
    CHECK_EXITED(status_of(term), 5);
    CHECK_EXITED(status_of(hup), 6);
}

TEST(a_child_has_the_handlers_of_the_program)
{
    if (T_TSAN)
        SKIP("the thread sanitizer runs no handler in a loop without calls");
    CHECK_EXITED(t_run_status(handlers_of_the_program, NULL), 0);
}

static void child_counts_its_threads(void *unused)
{
    (void)unused;
    bough_signals(0);
    until_others_sleep();
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(bough_check(), 0);
        CHECK_EQ(count_threads(), 1);
        BOUGH_BRANCH(jobs) {
            bough_add(jobs, quick, bough_arg(NULL));
        }
        CHECK(count_threads() > 1);
        _exit(0);
    }
    CHECK_EXITED(status_of(pid), 0);
}

TEST(a_child_has_one_thread_until_it_uses_the_library)
{
    needs_threads_after_fork();
    CHECK_EXITED(t_run_status(child_counts_its_threads, NULL), 0);
}

static void *forks_elsewhere(void *status)
{
    pid_t pid = fork();
    if (pid == 0) {
        bough_signals(0);
        raise(SIGTERM);
        p_until_stopped();
        exit(0);
    }
    *(int *)status = status_of(pid);
    return NULL;
}

static void forked_by_a_thread(void *unused)
{
    (void)unused;
    int status;
    struct t_thread thread;
    bough_signals(0);
    t_spawn(&thread, forks_elsewhere, &status);
    t_join(&thread);
    CHECK_KILLED(status, SIGTERM);
}

TEST(the_childs_only_thread_is_its_main)
{
    needs_threads_after_fork();
    CHECK_EXITED(t_run_status(forked_by_a_thread, NULL), 0);
}

static void takes_part_by_hand(int signo)
{
    bough_signal_event(signo);
}

/* The parent has more threads than a handler wakes by itself, and the child's ticker does not run yet. */
static void forks_with_many(void *unused)
{
    (void)unused;
    bough_signals(0);
    pid_t pid = 0;
    BOUGH_BRANCH(jobs) {
        for (int i = 0; i < 100; i++)
            CHECK(bough_add(jobs, sleeper, bough_arg(NULL)));
        t_until(running == 100); /* no thread is being started, with a lock of libc or of a sanitizer held */
        pid = fork();
        if (pid == 0) {
            struct p_sender sender = {.to_itself = 0};
            signal(SIGTERM, takes_part_by_hand);
            p_send_when_blocked(&sender, SIGTERM);
            p_until_stopped();
            exit(0);
        }
        bough_interrupt(jobs, "enough");
    }
    CHECK_KILLED(status_of(pid), SIGTERM);
}

TEST(the_child_of_a_parent_with_many_threads_ends_by_a_signal)
{
    needs_threads_after_fork();
    CHECK_EXITED(t_run_status(forks_with_many, NULL), 0);
}

/* The waiting thread exists only in the parent: the child has to call bough_signals() again. */
static void daemon_forks(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 3);
    until_others_sleep();
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(bough_signals(BOUGH_SIGNALS_WAIT), 3);
        kill(getpid(), SIGTERM);
        p_until_stopped();
        exit(0);
    }
    CHECK_KILLED(status_of(pid), SIGTERM);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_daemons_child_can_call_bough_signals_again)
{
    needs_threads_after_fork();
    CHECK_EXITED(t_run_status(daemon_forks, NULL), 0);
}
