/* SPDX-License-Identifier: MIT */
/* Waiting for signals. */
#include <bough/calls.h>
#include <string.h>
#include "calls/calls.h"
#include "wake/wake_send.h"
#include "wake/wake_signal.h"

/* The mask is passed without the wake signal: the kernel blocks the mask's signals during the wait, and the wake signal
 * must be delivered (rule 13). */
int bough_sigsuspend(const sigset_t *mask)
{
    sigset_t open;
    return (int)bo_result(BO_CALL(SYS_rt_sigsuspend, bo_open_mask(mask, &open), BO_MASK_SIZE));
}

static uint64_t signal_bit(int signo)
{
    return (uint64_t)1 << (signo - 1);
}

/* The set in the kernel's size, without the wake signal, which the wait would take instead of being ended by it, and
 * without the signals from 32 on that libc reserves, which the sets of some libcs can contain. */
static uint64_t waitable(const sigset_t *set)
{
    uint64_t mask;
    memcpy(&mask, set, sizeof mask);
    for (int signo = 32; signo < SIGRTMIN; signo++)
        mask &= ~signal_bit(signo);
    return mask & ~signal_bit(bo_wake_signo);
}

/* raise() and pthread_kill() send signals by tkill(): the kernel reports SI_TKILL for them, and libc reports
 * SI_USER. */
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

/* sigwait() does not fail with EINTR: the wait continues after a signal handler. */
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
