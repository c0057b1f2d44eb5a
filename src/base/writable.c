/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/writable.h"
#include <errno.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/raw.h"

/* This uses select(): poll() fails if it has more descriptors than RLIMIT_NOFILE, even if they are open already. */
static long by_select(int fd, int64_t ns)
{
    struct timespec timeout = bo_timespec(ns);
    fd_set set;
    if (fd < 0 || fd >= FD_SETSIZE)
        return 0;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    long n = bo_raw6(SYS_pselect6, fd + 1, 0, (long)&set, 0, (long)&timeout, 0);
    return n == -EBADF ? 1 : n < 0 && n != -EINTR ? 0 : n;
}

long bo_writable(int fd, int64_t ns)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    struct timespec timeout = bo_timespec(ns);
    long n = bo_raw6(SYS_ppoll, (long)&ready, 1, (long)&timeout, 0, 0, 0);
    if (n == -EINVAL)
        return by_select(fd, ns);
    return n < 0 && n != -EINTR ? 0 : n;
}
