/* SPDX-License-Identifier: MIT */
/*
 * Waiting for descriptors. The kernel writes the remaining time to the timeout. Like libc, these functions hide that
 * from the caller, except in select(). Masks are passed to the kernel without the wake signal (rule 13).
 */
#include <bough/calls.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include "calls/calls.h"
#include "wake/wake_signal.h"

static struct timespec *copy_time(const struct timespec *time, struct timespec *copy)
{
    if (!time)
        return NULL;
    *copy = *time;
    return copy;
}

int bough_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec time = bo_timespec(BO_MS(timeout));
    return (int)bo_result(BO_CALL(SYS_ppoll, fds, count, timeout < 0 ? NULL : &time, NULL, 0));
}

int bough_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec time;
    sigset_t open;
    return (int)bo_result(
        BO_CALL(SYS_ppoll, fds, count, copy_time(timeout, &time), bo_open_mask(mask, &open), BO_MASK_SIZE));
}

/* pselect6 takes its mask by reference, with its size. */
struct mask_argument {
    const sigset_t *mask;
    size_t size;
};

static long select_raw(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timespec *timeout,
                       const sigset_t *mask)
{
    struct mask_argument argument = {mask, BO_MASK_SIZE};
    return BO_CALL(SYS_pselect6, count, readable, writable, exceptional, timeout, &argument);
}

/* Linux accepts more microseconds than a second has. */
static bool time_of_timeout(const struct timeval *given, struct timespec *time)
{
    time->tv_nsec = given->tv_usec % 1000000 * 1000;
    return given->tv_sec >= 0 && given->tv_usec >= 0 &&
           !__builtin_add_overflow(given->tv_sec, given->tv_usec / 1000000, &time->tv_sec);
}

int bough_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout)
{
    struct timespec time;
    if (timeout && !time_of_timeout(timeout, &time))
        return (int)bo_result(-EINVAL);
    long r = select_raw(count, readable, writable, exceptional, timeout ? &time : NULL, NULL);
    if (timeout && r != -BO_ECUT)
        *timeout = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
    return (int)bo_result(r);
}

int bough_pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, const struct timespec *timeout,
                  const sigset_t *mask)
{
    struct timespec time;
    sigset_t open;
    return (int)bo_result(
        select_raw(count, readable, writable, exceptional, copy_time(timeout, &time), bo_open_mask(mask, &open)));
}

int bough_epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    sigset_t open;
    return (int)bo_result(
        BO_CALL(SYS_epoll_pwait, fd, events, count, timeout, bo_open_mask(mask, &open), BO_MASK_SIZE));
}

int bough_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
                       const sigset_t *mask)
{
    sigset_t open;
    return (int)bo_result(
        BO_CALL(SYS_epoll_pwait2, fd, events, count, timeout, bo_open_mask(mask, &open), BO_MASK_SIZE));
}

/* With IORING_ENTER_EXT_ARG, `mask` would be another structure, whose size would be needed: programs make such calls by
 * bough_syscall(). */
int bough_io_uring_enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, sigset_t *mask)
{
    enum { EXT_ARG = 1 << 3 };
    sigset_t open;
    if (flags & EXT_ARG)
        return (int)bo_result(-EINVAL);
    return (int)bo_result(
        BO_CALL(SYS_io_uring_enter, fd, to_submit, min_complete, flags, bo_open_mask(mask, &open), BO_MASK_SIZE));
}
