/* SPDX-License-Identifier: MIT */
/* Sleeping. The remaining time is reported as by the libc functions, after an interrupt as after a signal: a sleep that
 * was interrupted before it started has all of its time left. */
#include <bough/calls.h>
#include <threads.h>
#include "thread/call.h"

/* The kernel reads the time from `rest` and stores the remaining time there: if the library restarts the call after a
 * wake that was not admitted, the call does not sleep for the whole time again. */
static long sleep_for(clockid_t clock, const struct timespec *time, struct timespec *left)
{
    if (!time)
        return -EFAULT;
    struct timespec rest = *time;
    long r = BO_CALL(SYS_clock_nanosleep, clock, 0, &rest, &rest);
    if (left && (r == -EINTR || r == -BO_ECUT))
        *left = rest;
    return r;
}

int bough_nanosleep(const struct timespec *time, struct timespec *left)
{
    return (int)bo_result(sleep_for(CLOCK_REALTIME, time, left));
}

/* For the calling thread's processor clock, POSIX specifies EINVAL, but the kernel returns EOPNOTSUPP. */
int bough_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    if (clock == CLOCK_THREAD_CPUTIME_ID)
        return bo_error(EINVAL);
    if (flags & TIMER_ABSTIME)
        return bo_error((int)-BO_CALL(SYS_clock_nanosleep, clock, flags, time, NULL));
    return bo_error((int)-sleep_for(clock, time, left));
}

/* After an interrupted sleep a part of a second is rounded up; otherwise the result could be 0, as after a full sleep.
 * */
unsigned bough_sleep(unsigned seconds)
{
    struct timespec time = {seconds, 0};
    long r = sleep_for(CLOCK_REALTIME, &time, &time);
    if (r == 0)
        return 0;
    bo_result(r);
    return (unsigned)time.tv_sec + (r == -BO_ECUT && time.tv_nsec > 0);
}

int bough_usleep(unsigned microseconds)
{
    struct timespec time = bo_timespec((int64_t)microseconds * 1000);
    return (int)bo_result(sleep_for(CLOCK_REALTIME, &time, NULL));
}

/* C11: -1 is a signal, another negative number any other failure. */
int bough_thrd_sleep(const struct timespec *time, struct timespec *left)
{
    int error = bo_error((int)-sleep_for(CLOCK_REALTIME, time, left));
    if (error == ECANCELED)
        errno = ECANCELED; /* otherwise errno stays unchanged, as with libc */
    return error == 0 ? 0 : error == EINTR ? -1 : -2;
}
