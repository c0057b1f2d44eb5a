/* SPDX-License-Identifier: MIT */
/* The state that a child inherits from its adder, and the uses of a new thread. */
#include <signal.h>
#include "semantics/reuse.h"

/* ---- inherited from the adder ------------------------------------------------------------------------------------ */

static int look_at_adders_mask(void *unused)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    CHECK(sigismember(&set, SIGUSR1));
    CHECK(!sigismember(&set, SIGUSR2));
    return nothing(unused);
}

TEST(the_adders_signal_mask_is_inherited)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    run(look_at_adders_mask);
    run(look_at_adders_mask);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    run(look_at_mask);
}

static _Atomic pid_t handled_by;

static void note_thread(int signo)
{
    (void)signo;
    handled_by = t_tid();
}

static int unblock(void *unused)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return nothing(unused);
}

/* Fixed bug: a parked thread took a signal that all other threads had blocked in order to wait for it. */
TEST(a_parked_thread_takes_no_signal)
{
    sigset_t set;
    int got;
    signal(SIGUSR1, note_thread);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 50; i++) {
        run(unblock);
        kill(getpid(), SIGUSR1);
        usleep(500); /* time for a parked thread that would take the signal */
        CHECK_EQ(handled_by, 0);
        CHECK_EQ(sigwait(&set, &got), 0);
    }
    CHECK_EQ(handled_by, 0);
    signal(SIGUSR1, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- a new thread ------------------------------------------------------------------------------------------------ */

static pid_t run_with(const struct bough_child_options *options)
{
    last_tid = 0;
    BOUGH_BRANCH(b)
        CHECK(bough_add_with(b, nothing, bough_arg(NULL), options));
    CHECK_EQ(bough_last_result(), 0);
    return last_tid;
}

TEST(fresh_starts_a_new_thread_that_is_not_reused)
{
    need_reuse();
    pid_t pooled = run(nothing);
    pid_t fresh = run_with(&(struct bough_child_options){.fresh = 1});
    CHECK(fresh != pooled);
    CHECK_EQ(run(nothing), pooled);
    CHECK_EQ(run_with(&(struct bough_child_options){.stack = 1 << 20}) == pooled, 0);
    CHECK_EQ(run(nothing), pooled);
}

static int look_at_size(void *unused)
{
    pthread_attr_t a;
    size_t size;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &a), 0);
    pthread_attr_getstacksize(&a, &size);
    pthread_attr_destroy(&a);
    CHECK(size >= 300000 && size < 4 << 20); /* sanitizers enlarge the stack */
    return nothing(unused);
}

TEST(the_stack_has_the_size_that_was_asked_for)
{
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, look_at_size, bough_arg(NULL), &(struct bough_child_options){.stack = 400000}));
        CHECK(bough_add_with(b, nothing, bough_arg(NULL), &(struct bough_child_options){.stack = 1}));
    }
    CHECK_EQ(bough_last_result(), 0);
}
