/* SPDX-License-Identifier: MIT */
/* The state that a forked process gets from its parent: handles, posts, regions, masks. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include "misuse/forks.h"

/* They are stale even if the child process has as many threads in the same slots. */
TEST(handles_of_the_parents_threads_are_stale)
{
    need_no_sanitizer();
    bough_thread *of_parent[8];
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 8; i++)
            of_parent[i] = bough_add(b, until_stopped, bough_arg(NULL));
        bough_post old = bough_post_event(of_parent[0], NULL);
        pid_t pid = fork();
        if (pid == 0) {
            BOUGH_BRANCH(own) {
                for (int i = 0; i < 8; i++) {
                    add(own, until_stopped, bough_arg(NULL));
                    for (int k = 0; k < 8; k++)
                        if (bough_interrupt(of_parent[k], "stale") == 0 || errno != ESRCH)
                            _exit(20);
                }
                bough_interrupt(own, "test");
            }
            _exit(bough_post_status(old) == BOUGH_POST_GONE ? 0 : 21);
        }
        CHECK_EQ(waited(pid), 0);
        CHECK_EQ(bough_alive(of_parent[7]), 0);
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

enum { ENOUGH = 20 };
static volatile sig_atomic_t forked_well;

/* Sets the timer once. The handler sets it again at its end, so that the interrupted code continues in between, however
 * long a fork takes. */
static void set_timer(void)
{
    struct itimerval soon = {{0, 0}, {0, 3000}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void fork_in_handler(int signo)
{
    (void)signo;
    int saved = errno;
    pid_t pid = fork();
    if (pid == 0)
        _exit(bough_check() == 0 ? 0 : 20);
    forked_well += waited(pid) == 0;
    if (forked_well < ENOUGH)
        set_timer();
    errno = saved;
}

/* The handler has interrupted a blocked call. Signals that come during the fork find the arena of their process. */
TEST(a_fork_in_a_signal_handler_works)
{
    need_no_sanitizer();
    signal(SIGALRM, fork_in_handler);
    set_timer();
    while (forked_well < ENOUGH) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waited(pid);
        bough_nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
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
