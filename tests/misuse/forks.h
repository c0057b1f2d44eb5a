/* SPDX-License-Identifier: MIT */
/* Helpers of tests that fork while branches are open. */
#ifndef T_FORKS_H
#define T_FORKS_H

#include <sys/prctl.h>
#include <sys/wait.h>
#include "semantics/children.h"

UNUSED static pid_t waited(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The locks of a sanitizer's allocator may be held by another thread at the fork, its leak check finds memory of
 * threads that do not exist in the new process, and one sanitizer starts no thread there. */
UNUSED static void need_no_sanitizer(void)
{
    if (T_ASAN || T_TSAN)
        SKIP("the sanitizers do not follow a fork with threads");
}

/* In the new process: exits, with 0 if branches, children, interrupts and deadlines work. */
UNUSED static void use_everything(void)
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

#endif
