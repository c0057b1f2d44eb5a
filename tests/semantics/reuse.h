/* SPDX-License-Identifier: MIT */
/* Children that a worker runs one after the other. */
#ifndef T_REUSE_H
#define T_REUSE_H

#include "semantics/children.h"

static _Atomic pid_t last_tid;

/* Runs fn as a child, and returns its kernel thread id. */
UNUSED static pid_t run(bough_fn *fn)
{
    last_tid = 0;
    BOUGH_BRANCH(b)
        add(b, fn, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), 0);
    return last_tid;
}

UNUSED static int nothing(void *unused)
{
    (void)unused;
    last_tid = t_tid();
    return 0;
}

/* Some sanitizers set a thread key in each thread, which therefore ends after its child. */
UNUSED static void need_reuse(void)
{
    pid_t first = run(nothing);
    if (run(nothing) != first)
        SKIP("threads are not reused here");
}

/* Runs `leave` and `look` as children, and checks whether they ran on one thread (`again`). */
UNUSED static void check_shed(bough_fn *leave, bough_fn *look, int again)
{
    need_reuse();
    pid_t first = run(leave), second = run(look);
    CHECK_EQ(first == second, again);
}

UNUSED static int look_at_mask(void *unused)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    CHECK(!sigismember(&set, SIGUSR1) && !sigismember(&set, SIGTERM));
    return nothing(unused);
}

#endif
