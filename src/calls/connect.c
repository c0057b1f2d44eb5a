/* SPDX-License-Identifier: MIT */
/*
 * Connect with a deadline. SO_SNDTIMEO limits a blocking connect(). The alternative, setting O_NONBLOCK meanwhile,
 * would affect readers of the socket, and processes that share its mode (a forked process, for example); it would not
 * cover AF_UNIX's wait for a place in the backlog, which poll() does not report; and O_NONBLOCK would stay set if the
 * process died in between. The cost of SO_SNDTIMEO: each signal handler of the program ends the call with EINTR, even a
 * handler that restarts calls. Then connect() is called again, which on Linux continues the wait.
 */
#include <bough/call.h>
#include <poll.h>
#include <sys/time.h>
#include "calls/calls.h"
#include "state/undo.h"
#include "wake/wake_signal.h"

/* Limit blocking operations of the socket to the deadline. 0 or an error. */
static long bound(int fd, bough_time deadline)
{
    int64_t us = bo_add_time(bo_time_left(deadline, bough_now()), 999) / 1000;
    if (us <= 0)
        return bo_timed_out();
    struct timeval limit = {us / 1000000, us % 1000000};
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 ? 0 : -errno;
}

/* Waits for the end of an attempt that is under way in the kernel. */
static long finish_connecting(int fd, bough_time deadline)
{
    int error = 0;
    socklen_t size = sizeof error;
    long r = bo_wait_ready(fd, POLLOUT, deadline);
    if (r < 0)
        return r;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? -error : -errno;
}

static long attempt(int fd, const struct sockaddr *address, socklen_t length, bough_time deadline)
{
    long r;
    do {
        r = deadline ? bound(fd, deadline) : 0;
        if (r == 0)
            r = BO_CALL(SYS_connect, fd, address, length);
    } while (r == -EINTR && bo_handlers_restart());
    if (r == -EINPROGRESS || r == -EALREADY)
        return finish_connecting(fd, deadline);
    /* EAGAIN at the deadline: the backlog of an AF_UNIX socket has stayed full. */
    return r == -EAGAIN && deadline && bough_now() >= deadline ? -ETIMEDOUT : r;
}

struct bounded {
    struct bo_undo undo;
    int fd;
    struct timeval before;
};

static void put_back(struct bo_undo *undo)
{
    const struct bounded *b = (const struct bounded *)undo;
    setsockopt(b->fd, SOL_SOCKET, SO_SNDTIMEO, &b->before, sizeof b->before);
}

int bough_connect_deadline(int fd, const struct sockaddr *address, socklen_t length, bough_time deadline)
{
    struct bounded b = {.undo = {.run = put_back}, .fd = fd};
    socklen_t size = sizeof b.before;
    if (!deadline)
        return (int)bo_result(attempt(fd, address, length, 0));
    if (getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &b.before, &size) != 0)
        return (int)bo_result(-errno);
    bo_undo_push(&b.undo);
    long r = attempt(fd, address, length, deadline);
    bo_undo_pop(&b.undo);
    put_back(&b.undo);
    return (int)bo_result(r);
}
