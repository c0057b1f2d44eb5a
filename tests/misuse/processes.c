/* SPDX-License-Identifier: MIT */
/* exec, _exit, abort and setuid in children, and their effect on the new process image or the parent process. */
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include "semantics/children.h"

static void with_a_child(bough_fn *fn)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, number(0));
        add(b, fn, number(0));
    }
    _exit(99);
}

/* ---- exec -------------------------------------------------------------------------------------------------------- */

static int becomes_a_shell(void *unused)
{
    (void)unused;
    execl("/bin/sh", "sh", "-c", "exec cat /proc/self/status", (char *)NULL);
    return errno;
}

static void exec_in_a_child(void *unused)
{
    (void)unused;
    with_a_child(becomes_a_shell);
}

static int cut(void *unused)
{
    CHECK_EQ(until_stopped(unused), ECANCELED);
    return becomes_a_shell(unused);
}

/* The mask of a thread that was just interrupted in a call and blocks the wake signal: it was woken by the fallback
 * signal. */
static void exec_after_a_cut(void *unused)
{
    sigset_t all;
    (void)unused;
    sigfillset(&all);
    sigdelset(&all, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, cut, number(0));
        bough_interrupt(child, "now");
    }
    _exit(99);
}

static uint64_t set_in(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    CHECK(line);
    return strtoull(line + strlen(name) + 1, NULL, 16);
}

static int has(uint64_t set, int signo)
{
    return set >> (signo - 1) & 1;
}

TEST(exec_in_a_child_leaves_nothing_of_the_library)
{
    char text[8192];
    CHECK_EXITED(t_run_output(exec_in_a_child, NULL, text, sizeof text), 0);
    CHECK_EQ(set_in(text, "\nThreads:"), 1);
    CHECK_EQ(set_in(text, "\nSigBlk:"), 0);
    CHECK_EQ(set_in(text, "\nShdPnd:"), 0);
    CHECK(!has(set_in(text, "\nSigCgt:"), SIGURG));
    CHECK(!has(set_in(text, "\nSigIgn:"), SIGURG));
}

TEST(exec_after_an_interrupted_call_has_the_programs_mask)
{
    char text[8192];
    CHECK_EXITED(t_run_output(exec_after_a_cut, NULL, text, sizeof text), 0);
    uint64_t blocked = set_in(text, "\nSigBlk:");
    CHECK(!has(blocked, SIGUSR1));
    CHECK(has(blocked, SIGUSR2));
    CHECK_EQ(set_in(text, "\nSigPnd:"), 0);
    CHECK_EQ(set_in(text, "\nShdPnd:"), 0);
    CHECK(!has(set_in(text, "\nSigCgt:"), SIGURG));
    CHECK(!has(set_in(text, "\nSigCgt:"), 32));
}

/* ---- the end of the process -------------------------------------------------------------------------------------- */

static int leaves(void *unused)
{
    (void)unused;
    _exit(3);
}

static int aborts(void *unused)
{
    (void)unused;
    abort();
}

static int faults(void *unused)
{
    (void)unused;
    raise(SIGSEGV);
    return 0;
}

static void run_child(void *fn)
{
    with_a_child(*(bough_fn **)fn);
}

static int status_with(bough_fn *fn)
{
    return t_run_status(run_child, &fn);
}

TEST(the_parent_sees_how_a_child_ends_the_process)
{
    CHECK_EXITED(status_with(leaves), 3);
    CHECK_KILLED(status_with(aborts), SIGABRT);
    CHECK_KILLED(status_with(faults), SIGSEGV);
}

static void at_exit(void)
{
    BOUGH_BRANCH(b)
        add(b, work, number(0));
    _exit(bough_last_result() == 0 && bough_last()->tally.count[BOUGH_OK] == 1 ? 4 : 5);
}

static int exits(void *unused)
{
    (void)unused;
    atexit(at_exit);
    exit(1);
}

TEST(exit_handlers_in_a_child_may_open_branches)
{
    for (int i = 0; i < 10; i++)
        CHECK_EXITED(status_with(exits), 4);
}

static int main_is_there(void)
{
    char text[512] = "";
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && !strstr(text, ") Z ");
}

/* Main ends, the other threads stay, and main's branch is ended. */
static struct thing of_main;

static void *ends_the_process(void *unused)
{
    (void)unused;
    t_until(!main_is_there());
    exit(of_main.destroyed ? 4 : 5);
}

static void main_leaves(void *unused)
{
    struct t_thread last;
    bough_branch *b = bough_branch_open(NULL);
    add(b, until_stopped, thing_of(&of_main));
    t_spawn(&last, ends_the_process, unused);
    pthread_exit(NULL);
}

TEST(a_main_that_leaves_by_pthread_exit_has_its_branch_ended)
{
    char text[2048];
    CHECK_EXITED(t_run_output(main_leaves, NULL, text, sizeof text), 4);
    CHECK(strstr(text, "left open"));
}

/* ---- the last thread ends the process, although the library's threads remain ------------------------------------- */

static void need_known_threads(void)
{
    if (T_TSAN)
        SKIP("the thread sanitizer runs a thread");
#ifndef __GLIBC__
    SKIP("musl's list of threads stays locked where the main thread of a forked process exits");
#endif
}

static void no_news(const struct bough_transition *transition, void *unused)
{
    (void)transition, (void)unused;
}

static int outlived; /* set by this thread when the process exits */

static void note_exit(void)
{
    _exit(outlived ? 7 : 8);
}

static void *stays_for_a_while(void *adopted)
{
    if (adopted)
        bough_self();
    t_until(!main_is_there());
    usleep(1200000); /* longer than the library waits between two checks */
    outlived = 1;
    return NULL;
}

/* Leaves the library's threads: the ticker, helpers, a parked worker, a thread for signals and one for a lookup. */
static void leave_last_thread(void *adopted, int main_known)
{
    struct t_thread last;
    struct addrinfo *none;
    bough_on_transition(no_news, NULL);
    bough_signals(BOUGH_SIGNALS_WAIT);
    CHECK_EQ(bough_getaddrinfo("127.0.0.1", "1", NULL, &none), 0);
    freeaddrinfo(none);
    BOUGH_BRANCH(b)
        add(b, work, number(0));
    if (!main_known)
        CHECK_EQ(bough_release(), 0);
    atexit(note_exit);
    t_spawn(&last, stays_for_a_while, adopted);
    pthread_exit(NULL);
}

static void known_main(void *adopted)
{
    leave_last_thread(adopted, 1);
}

static void unknown_main(void *adopted)
{
    leave_last_thread(adopted, 0);
}

/* Fixed bug: the library's threads kept the process alive. */
TEST(the_last_thread_ends_the_process)
{
    need_known_threads();
    CHECK_EXITED(t_run_status(known_main, &outlived), 7);
    CHECK_EXITED(t_run_status(known_main, NULL), 7);
    CHECK_EXITED(t_run_status(unknown_main, &outlived), 7);
}

static void stopped_before(void *unused)
{
    (void)unused;
    bough_signals(0);
    raise(SIGTERM);
    pthread_exit(NULL);
}

TEST(a_process_that_was_asked_to_stop_dies_of_the_signal_with_its_last_thread)
{
    need_known_threads();
    CHECK_KILLED(t_run_status(stopped_before, NULL), SIGTERM);
}

/* ---- calls that reach all threads -------------------------------------------------------------------------------- */

/* libc changes user ids by a signal to each thread, and waits for all of them. */
static int changes_ids(void *unused)
{
    (void)unused;
    return setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1) || setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1) ? errno : 0;
}

TEST(user_ids_can_be_changed_beside_the_librarys_threads)
{
    BOUGH_BRANCH(b)
        for (int i = 0; i < 8; i++)
            add(b, work, number(0));
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(3600)) {
        bough_thread *sleeper = bough_add(b, until_stopped, number(0));
        add(b, changes_ids, number(0));
        CHECK_EQ(changes_ids(NULL), 0);
        bough_interrupt(sleeper, "enough");
    }
    CHECK_EQ(bough_last_result(), 0);
}

/* ---- forks while other threads have branches open ---------------------------------------------------------------- */

static bough_branch *anothers;
static struct t_gate opened, forked;

static int holds_a_branch(void *unused)
{
    BOUGH_BRANCH(b) {
        anothers = b;
        add(b, until_stopped, unused ? number(1) : number(0));
        t_gate_open(&opened);
        t_gate_wait(&forked);
        bough_interrupt(b, "enough");
    }
    return bough_last_result();
}

static void anothers_branch_in_the_new_process(void)
{
    struct thing thing = {0};
    struct bough_tally tally;
    CHECK_ERR(bough_add(anothers, work, thing_of(&thing)), ESRCH);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_branch_end(anothers), ESRCH);
    CHECK_EQ(bough_fail(anothers, EIO, "test"), ESRCH);
    CHECK_ERR(bough_branch_tally(anothers, &tally), ESRCH);
    CHECK_ERR(bough_interrupt(anothers, "nobody"), ESRCH);
    CHECK_EQ(bough_check(), 0);
}

TEST(the_branch_of_a_thread_that_was_not_forked_does_no_harm)
{
    BOUGH_BRANCH(b) {
        add(b, holds_a_branch, number(0));
        t_gate_wait(&opened);
        pid_t pid = fork();
        if (pid == 0) {
            anothers_branch_in_the_new_process();
            CHECK_EQ(bough_branch_end(b), 0);
            _exit(0);
        }
        int status;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EXITED(status, 0);
        t_gate_open(&forked);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 1);
}
