/* SPDX-License-Identifier: MIT */
/* fork() where branches are open: in a body and in a child. */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include "misuse/forks.h"

/* ---- in a body --------------------------------------------------------------------------------------------------- */

static struct t_gate gate;
static struct thing thing;

TEST(a_fork_in_a_body_leaves_the_children_to_the_parent)
{
    need_no_sanitizer();
    for (int round = 0; round < 10; round++) {
        gate.open = 0;
        thing.destroyed = 0;
        BOUGH_BRANCH(outer)
            BOUGH_BRANCH(b) {
                add(b, wait_for_gate, bough_resource_of(&gate, NULL));
                add(b, until_stopped, thing_of(&thing));
                pid_t pid = fork();
                if (pid == 0) {
                    struct bough_tally tally;
                    use_everything();
                    if (bough_branch_tally(b, &tally) != 0 || tally.added != 0)
                        _exit(20);
                    /* at once, because the new process has no children */
                    if (bough_branch_end(b) != 0 || bough_last_result() != 0)
                        _exit(21);
                    if (!bough_add(outer, work, bough_arg(NULL)) || bough_branch_end(outer) != 0)
                        _exit(22);
                    _exit(thing.destroyed ? 23 : 0); /* the resource belongs to the parent */
                }
                CHECK_EQ(waited(pid), 0);
                CHECK_EQ(thing.destroyed, 0);
                CHECK_EQ(bough_check(), 0);
                t_gate_open(&gate);
                bough_interrupt(b, "test");
            }
        CHECK_EQ(thing.destroyed, 1);
    }
}

TEST(a_forked_process_leaves_the_block_like_any_other)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        pid_t pid = fork();
        if (pid == 0)
            break;
        CHECK_EQ(waited(pid), 0);
        bough_interrupt(b, "test");
    }
    if (bough_last()->tally.added == 0)
        _exit(0); /* the new process */
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

/* Interrupts and failures of the parent do not carry over to the new process. */
TEST(a_fork_in_the_body_of_a_failed_branch_carries_no_failure_over)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b) {
        bough_fail(b, EIO, "before");
        pid_t pid = fork();
        if (pid == 0) {
            use_everything();
            if (!bough_add(b, work, bough_arg(NULL)))
                _exit(20);
            _exit(bough_branch_end(b));
        }
        CHECK_EQ(waited(pid), 0);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), EIO);
}

TEST(a_blocks_deadline_holds_in_the_new_process)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(300)) {
        pid_t pid = fork();
        if (pid == 0) {
            BOUGH_BRANCH(inner) {
                if (until_stopped(NULL) != ECANCELED)
                    _exit(20);
            }
            _exit(bough_branch_end(b) == ETIMEDOUT ? 0 : 21);
        }
        CHECK_EQ(waited(pid), 0);
    }
}

/* Fixed bug: no thread watched the deadline until a function of bough needed the ticker. */
static void blocks_only(bough_branch *b, int (*block)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (bough_interrupted() || block() == 0 || errno != ECANCELED)
            _exit(20);
        _exit(bough_branch_end(b) == ETIMEDOUT ? 0 : 21);
    }
    CHECK_EQ(waited(pid), 0);
}

static int in_pause(void)
{
    return bough_pause();
}

static int in_libc(void)
{
    sem_t never;
    sem_init(&never, 0, 0);
    return bough_sem_wait(&never);
}

static int at_checks(void)
{
    while (bough_check() == 0)
        continue;
    return -1;
}

TEST(a_deadline_is_watched_if_the_new_process_only_blocks)
{
    need_no_sanitizer();
    static int (*const block[])(void) = {in_pause, in_libc, at_checks};
    for (int i = 0; i < 3; i++)
        BOUGH_BRANCH(b, .timeout = BOUGH_MS(50))
            BOUGH_BRANCH(inner)
                blocks_only(b, block[i]);
}

/* No thread must be started in a signal handler: the next point outside the handler starts it. */
static volatile sig_atomic_t points;

static void check_in_handler(int signo)
{
    (void)signo;
    points += bough_check() == 0;
}

static int threads(void)
{
    int count = -2; /* . and .. */
    DIR *all = opendir("/proc/self/task");
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

static int after_a_handler(void)
{
    signal(SIGUSR1, check_in_handler);
    raise(SIGUSR1);
    if (points != 1 || threads() != 1)
        _exit(22);
    return in_pause();
}

TEST(no_thread_is_started_in_a_handler_for_a_deadline)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1))
        blocks_only(b, after_a_handler);
}

static _Atomic int churning = 1;

static int churn(void *unused)
{
    (void)unused;
    while (churning) {
        BOUGH_BRANCH(b, .supervisor = 1)
            for (int i = 0; i < 5; i++)
                add(b, i % 2 ? work : fail_with, number(EIO));
    }
    return 0;
}

/* The locks, lists and records of the parent may be in any state. */
TEST_LIMIT(a_fork_while_other_threads_open_add_and_fail_works, 60)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 3; i++)
            add(b, churn, bough_arg(NULL));
        for (int i = 0; i < 100; i++) {
            pid_t pid = fork();
            if (pid == 0) {
                use_everything();
                _exit(bough_branch_end(b));
            }
            CHECK_EQ(waited(pid), 0);
        }
        churning = 0;
    }
    CHECK_EQ(bough_last_result(), 0);
}

/* ---- in a child -------------------------------------------------------------------------------------------------- */

static int fork_and_exit(void *value)
{
    struct thing *own = value;
    pid_t pid = fork();
    if (pid == 0) {
        use_everything();
        _exit(own->destroyed);
    }
    CHECK_EQ(waited(pid), 0);
    CHECK_EQ(own->destroyed, 0);
    return 0;
}

TEST(a_fork_in_a_child_works)
{
    need_no_sanitizer();
    for (int i = 0; i < 10; i++) {
        struct thing two[2] = {0};
        BOUGH_BRANCH(b)
            for (int k = 0; k < 2; k++)
                add(b, fork_and_exit, thing_of(&two[k]));
        CHECK_EQ(bough_last_result(), 0);
        CHECK_EQ(two[0].destroyed + two[1].destroyed, 2);
    }
}

static int fork_and_return(void *code)
{
    pid_t pid = fork();
    if (pid == 0) {
        use_everything();
        return (int)(intptr_t)code;
    }
    CHECK_EQ(waited(pid), 0);
    return 0;
}

static int fork_and_pthread_exit(void *unused)
{
    (void)unused;
    pid_t pid = fork();
    if (pid == 0) {
        use_everything();
        pthread_exit(NULL);
    }
    CHECK_EQ(waited(pid), 0);
    return 0;
}

TEST(a_child_that_returns_in_the_new_process_ends_that_process)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b) {
        add(b, fork_and_return, number(0));
        add(b, fork_and_return, number(EIO));
        add(b, fork_and_pthread_exit, bough_arg(NULL));
    }
    CHECK_EQ(bough_last_result(), 0);
}

static int fork_under_an_interrupt(void *unused)
{
    (void)unused;
    CHECK_EQ(until_stopped(NULL), ECANCELED);
    pid_t pid = fork();
    if (pid == 0) {
        use_everything();
        _exit(0);
    }
    CHECK_EQ(waited(pid), 0);
    return ECANCELED;
}

TEST(a_fork_in_an_interrupted_child_starts_without_interrupts)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b) {
        add(b, fork_under_an_interrupt, bough_arg(NULL));
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

static int fork_in_inner_branches(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(one)
        BOUGH_BRANCH(two) {
            add(one, until_stopped, bough_arg(NULL));
            add(two, until_stopped, bough_arg(NULL));
            pid_t pid = fork();
            if (pid == 0) {
                use_everything();
                _exit(bough_branch_end(two) || bough_branch_end(one));
            }
            CHECK_EQ(waited(pid), 0);
            bough_interrupt(one, "test");
        }
    return 0;
}

TEST(a_fork_in_the_inner_branch_of_a_child_works)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b)
        add(b, fork_in_inner_branches, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), 0);
}
