/* SPDX-License-Identifier: MIT */
/* Waiting for signals. */
#include <bough/calls.h>
#include <string.h>
#include "calls/calls.h"
#include "wake/wake_send.h"
#include "wake/wake_signal.h"

/* A thread that waits for the wake signal blocks it, too; sigsuspend's mask must let it in (rule 13). */
int bough_sigsuspend(const sigset_t *mask)
{
    sigset_t open;
    return (int)bo_result(BO_CALL(SYS_rt_sigsuspend, bo_open_mask(mask, &open), BO_MASK_SIZE));
}

static uint64_t signal_bit(int signo)
{
    return (uint64_t)1 << (signo - 1);
}

/* A full set, as the kernel's: without the wake signal, which would be taken instead of waking us, and
 * without those from 32 that libc keeps to itself, which some libc's sets let through. */
static uint64_t waitable(const sigset_t *set)
{
    uint64_t mask;
    memcpy(&mask, set, sizeof mask);
    for (int signo = 32; signo < SIGRTMIN; signo++)
        mask &= ~signal_bit(signo);
    return mask & ~signal_bit(bo_wake_signo);
}

/* raise() and pthread_kill() use tkill(), which libc hides. */
static long take_signal(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    uint64_t mask = waitable(set);
    long r = BO_CALL(SYS_rt_sigtimedwait, &mask, info, timeout, sizeof mask);
    if (r > 0 && info && info->si_code == SI_TKILL)
        info->si_code = SI_USER;
    return r;
}

int bough_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    return (int)bo_result(take_signal(set, info, timeout));
}

int bough_sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    return (int)bo_result(take_signal(set, info, NULL));
}

/* It has no EINTR: a handler that runs meanwhile is no reason to return. */
int bough_sigwait(const sigset_t *set, int *signo)
{
    long r;
    do
        r = take_signal(set, NULL, NULL);
    while (r == -EINTR);
    if (r < 0)
        return bo_error((int)-r);
    *signo = (int)r;
    return 0;
}
