/* SPDX-License-Identifier: MIT */
/* fork(), exec and exit() where branches are open. */
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include "semantics/children.h"

static pid_t waited(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The locks of a sanitizer's allocator may be held by another thread at the fork, its leak check finds memory of
 * threads that do not exist in the new process, and one sanitizer starts no thread there. */
static void need_no_sanitizer(void)
{
    if (T_ASAN || T_TSAN)
        SKIP("the sanitizers do not follow a fork with threads");
}

/* In the new process: exits, with 0 if branches, children, interrupts and deadlines work. */
static void use_everything(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bough_check() != 0)
        _exit(10);
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 4; i++)
            if (!bough_add(b, until_stopped, bough_arg(NULL)))
                _exit(11);
        if (bough_interrupt(b, "test") != 0)
            _exit(12);
    }
    if (bough_last_result() != 0 || bough_last()->tally.count[BOUGH_INTERRUPTED] != 4)
        _exit(13);
    BOUGH_DEADLINE(BOUGH_MS(5))
        until_stopped(NULL);
    if (bough_last_result() != ETIMEDOUT)
        _exit(14);
    bough_interrupt(bough_self(), "test");
    if (until_stopped(NULL) != ECANCELED || bough_clear(NULL) != 1)
        _exit(15);
}

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

/* ---- handles and posts of the parent ----------------------------------------------------------------------------- */

/* Even if the child process has as many threads in the same slots. */
TEST(handles_of_the_parents_threads_are_stale)
{
    need_no_sanitizer();
    bough_thread *theirs[8];
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 8; i++)
            theirs[i] = bough_add(b, until_stopped, bough_arg(NULL));
        bough_post old = bough_post_event(theirs[0], NULL);
        pid_t pid = fork();
        if (pid == 0) {
            BOUGH_BRANCH(own) {
                for (int i = 0; i < 8; i++) {
                    add(own, until_stopped, bough_arg(NULL));
                    for (int k = 0; k < 8; k++)
                        if (bough_interrupt(theirs[k], "stale") == 0 || errno != ESRCH)
                            _exit(20);
                }
                bough_interrupt(own, "test");
            }
            _exit(bough_post_status(old) == BOUGH_POST_GONE ? 0 : 21);
        }
        CHECK_EQ(waited(pid), 0);
        CHECK_EQ(bough_alive(theirs[7]), 0);
        bough_interrupt(b, "test");
    }
}

/* A post from before the fork is over in the child process, and never mistaken for a post from after it. */
TEST(posts_of_the_parent_are_over_in_the_child)
{
    need_no_sanitizer();
    BOUGH_BRANCH(b) {
        bough_target targets[] = {bough_self(), b, BOUGH_ROOT};
        for (int i = 0; i < 3; i++) {
            bough_post old = bough_post_event(targets[i], NULL);
            pid_t pid = fork();
            if (pid == 0) {
                if (bough_check() != 0 || bough_post_status(old) != BOUGH_POST_ENDED)
                    _exit(20);
                bough_post own = bough_post_event(targets[i], NULL);
                if (bough_post_status(own) != BOUGH_POST_PENDING || bough_post_status(old) != BOUGH_POST_ENDED)
                    _exit(21);
                _exit(bough_check() == 0 ? 22 : 0);
            }
            CHECK_EQ(waited(pid), 0);
            CHECK_EQ(bough_post_status(old), BOUGH_POST_PENDING);
            bough_clear(NULL);
            bough_clear(b);
            bough_clear(BOUGH_ROOT);
        }
    }
}

/* Serial numbers distinguish the records that a cleanup region holds off from later ones; numbering continues in the
 * child process. */
TEST(a_fork_in_a_cleanup_region_holds_off_only_older_interrupts)
{
    need_no_sanitizer();
    for (int i = 0; i < 20; i++) {
        bough_interrupt(bough_self(), "before");
        CHECK_ERR(bough_check(), ECANCELED);
        if (i < 19)
            bough_clear(NULL);
    }
    BOUGH_CLEANUP(0) {
        CHECK_EQ(bough_check(), 0);
        pid_t pid = fork();
        if (pid == 0) {
            bough_interrupt(bough_self(), "later");
            _exit(bough_check() == 0 ? 20 : 0);
        }
        CHECK_EQ(waited(pid), 0);
    }
    bough_clear(NULL);
}

static void *forks(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(bough_check() == 0 && bough_self() ? 0 : 20);
        CHECK_EQ(waited(pid), 0);
    }
    return NULL;
}

TEST(threads_may_fork_at_the_same_time)
{
    need_no_sanitizer();
    struct t_thread thread[4];
    for (int i = 0; i < 4; i++)
        t_spawn(&thread[i], forks, NULL);
    for (int i = 0; i < 4; i++)
        t_join(&thread[i]);
}

static volatile sig_atomic_t forked_well;

static void fork_in_handler(int signo)
{
    (void)signo;
    int saved = errno;
    pid_t pid = fork();
    if (pid == 0)
        _exit(bough_check() == 0 ? 0 : 20);
    forked_well += waited(pid) == 0;
    errno = saved;
}

/* In a handler that has interrupted a blocked call; signals that come during the fork find the arena of their
 * process. */
TEST(a_fork_in_a_signal_handler_works)
{
    need_no_sanitizer();
    struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    signal(SIGALRM, fork_in_handler);
    setitimer(ITIMER_REAL, &often, NULL);
    while (forked_well < 20) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waited(pid);
        bough_nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
}

TEST(a_fork_keeps_the_signal_mask)
{
    sigset_t set, now;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    pid_t pid = fork();
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    int same = sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1) && !sigismember(&now, SIGURG);
    if (pid == 0)
        _exit(same ? 0 : 20);
    CHECK_EQ(waited(pid), 0);
    CHECK(same);
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

/* ---- exec and exit ----------------------------------------------------------------------------------------------- */

/* The wake signal is neither caught nor ignored in the new image. It is SIGURG, number 23: its bit is in the first of
 * the last six digits of a mask. */
static int exec_a_shell(void *unused)
{
    (void)unused;
    execl("/bin/sh", "sh", "-c", "grep -qE '^Sig(Ign|Cgt):.*[4567cdef].....$' /proc/$$/status && exit 7; exit 5",
          (char *)NULL);
    return errno;
}

/* Fixed bug: the new arena was mapped at the address of the parent's, over memory that fork handlers which run earlier
 * had mapped there. */
enum { ROOM = 16 << 20 };
static volatile char *mapped;
static int registered, maps;

static void map_in_the_child(void)
{
    if (!maps)
        return;
    mapped = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < ROOM; i += 4096)
        mapped[i] = 'x';
}

/* Runs before the library is loaded and registers its handlers. */
static void register_first(void)
{
    registered = pthread_atfork(NULL, NULL, map_in_the_child) == 0;
}
__attribute__((section(".preinit_array"), used)) static void (*before_all)(void) = register_first;

static void *forks_and_looks(void *unused)
{
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (size_t at = 0; at < ROOM; at += 4096)
                if (mapped[at] != 'x')
                    _exit(1);
            _exit(0);
        }
        CHECK_EQ(waited(pid), 0);
    }
    return unused;
}

TEST(the_new_arena_overwrites_no_mapping_of_other_fork_handlers)
{
    struct t_thread other;
    need_no_sanitizer();
    if (!registered)
        SKIP("this libc runs no code before the library is loaded");
    maps = 1;
    CHECK(bough_self());
    t_spawn(&other, forks_and_looks, NULL); /* two forks at once: neither undoes the other */
    forks_and_looks(NULL);
    t_join(&other);
}

static void exec_in_a_child(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        add(b, exec_a_shell, bough_arg(NULL));
    }
    _exit(1);
}

TEST(exec_in_a_child_replaces_the_process)
{
    CHECK_EXITED(t_run_status(exec_in_a_child, NULL), 5);
}

static int exit_with_9(void *unused)
{
    (void)unused;
    exit(9);
}

static void exit_in_a_child(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        add(b, exit_with_9, bough_arg(NULL));
    }
    _exit(1);
}

TEST(exit_in_a_child_ends_the_process)
{
    for (int i = 0; i < 20; i++)
        CHECK_EXITED(t_run_status(exit_in_a_child, NULL), 9);
}

static void exit_in_a_body(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 20; i++)
            add(b, until_stopped, bough_arg(NULL));
        exit(8);
    }
}

TEST(exit_in_a_body_waits_for_no_child)
{
    for (int i = 0; i < 20; i++)
        CHECK_EXITED(t_run_status(exit_in_a_body, NULL), 8);
}
