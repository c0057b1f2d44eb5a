/* SPDX-License-Identifier: MIT */
/* The kernel's own form of struct sigaction. libc's does not do for signals that libc keeps to itself, and under
 * a sanitizer it would put another handler before ours. */
#ifndef BO_ARCH_ACTION_H
#define BO_ARCH_ACTION_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "base/raw.h"

struct bo_kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
#if defined(__x86_64__) || defined(__aarch64__)
    void (*restorer)(void); /* libc's way back from a handler */
#endif
    uint64_t mask;
};

static inline long bo_kernel_sigaction(int signo, const struct bo_kernel_action *new, struct bo_kernel_action *old)
{
    return bo_raw4(SYS_rt_sigaction, signo, (long)new, (long)old, sizeof new->mask);
}

/* Is it a function, or SIG_DFL or SIG_IGN? */
static inline int bo_action_catches(const struct bo_kernel_action *action)
{
    uintptr_t handler = (uintptr_t)action->handler;
    return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

static inline uintptr_t bo_action_restorer(const struct bo_kernel_action *action)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return (uintptr_t)action->restorer;
#else
    (void)action;
    return 0;
#endif
}

#endif
