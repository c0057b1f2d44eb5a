/* SPDX-License-Identifier: MIT */
/* Any call by number, the futex, and reading and writing in full. */
#include <bough/call.h>
#include <bough/interrupt.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "calls/calls.h"
#include "wake/wake_signal.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

long bough_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
    return bo_result(bo_call(nr, a, b, c, d, e, f));
}

int bough_futex_wait(const uint32_t *word, uint32_t expected, bough_time deadline)
{
    return (int)bo_result(bo_futex_wait((const _Atomic uint32_t *)word, expected, deadline ? deadline : BO_FOREVER));
}

/* ---- readiness --------------------------------------------------------------------------------------- */

long bo_timed_out(void)
{
    return bough_check() == 0 ? -ETIMEDOUT : -BO_ECUT;
}

/* ppoll() fails with EINTR after any handler. It is repeated if the read or write that it replaces would be restarted
 * after the handler. */
long bo_wait_ready(int fd, short events, bough_time deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    long r;
    do {
        int64_t ns = deadline ? bo_time_left(deadline, bough_now()) : 1;
        if (ns <= 0)
            return bo_timed_out();
        struct timespec left = bo_timespec(ns);
        r = BO_CALL(SYS_ppoll, &p, 1, deadline ? &left : NULL, NULL, 0);
    } while (r == 0 || (r == -EINTR && bo_handlers_restart()));
    return r < 0 ? r : 0;
}

/* ---- reading and writing in full ---------------------------------------------------------------------- */

/*
 * Ways to keep a deadline on a blocking descriptor without changing its mode, which other threads and processes share.
 * Readiness alone is not enough: another reader may take the bytes, and a large write blocks after the first part.
 */
enum way {
    PLAIN,  /* no deadline; or a file, whose waits for the disk can't be interrupted */
    SOCKET, /* sockets: transfer as much as possible with MSG_DONTWAIT, then wait for readiness */
    NOWAIT, /* pipes: the same with RWF_NOWAIT, which Linux before 6.4 does not support for pipes */
    READY   /* other files: wait for readiness, then read the available bytes or write a few. A terminal may still
               block that write until it has accepted all of it; an interrupt ends the write even then */
};

struct transfer {
    int fd;
    bool writes;
    enum way way;
    char *at;
    size_t left;
    bough_time deadline;
};

static long choose_way(struct transfer *t)
{
    struct stat status;
    t->way = PLAIN;
    if (!t->deadline)
        return 0;
    if (fstat(t->fd, &status) != 0)
        return -errno;
    if (S_ISSOCK(status.st_mode))
        t->way = SOCKET;
    else if (S_ISFIFO(status.st_mode))
        t->way = NOWAIT;
    else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        t->way = READY;
    return 0;
}

static long move(struct transfer *t)
{
    struct iovec iov = {t->at, t->left};
    size_t little = t->writes && t->way == READY && t->left > PIPE_BUF ? PIPE_BUF : t->left;
    switch (t->way) {
    case SOCKET:
        return BO_CALL(t->writes ? SYS_sendto : SYS_recvfrom, t->fd, t->at, t->left, MSG_DONTWAIT, NULL, 0);
    case NOWAIT: /* offset -1: the descriptor's current position */
        return BO_CALL(t->writes ? SYS_pwritev2 : SYS_preadv2, t->fd, &iov, 1, -1, 0, RWF_NOWAIT);
    case PLAIN:
    case READY:
        break;
    }
    return BO_CALL(t->writes ? SYS_write : SYS_read, t->fd, t->at, little);
}

static long await_transfer(struct transfer *t)
{
    return bo_wait_ready(t->fd, t->writes ? POLLOUT : POLLIN, t->deadline);
}

/* 1: call again; 0: done, or end of file; or an error. */
static long transfer_step(struct transfer *t)
{
    long r = t->way == READY ? await_transfer(t) : 0;
    if (r == 0)
        r = move(t);
    if (r > 0) {
        t->at += r;
        t->left -= (size_t)r;
        return t->left > 0;
    }
    if (r == -EAGAIN)
        return (r = await_transfer(t)) < 0 ? r : 1;
    if ((r == -EOPNOTSUPP || r == -ENOSYS) && t->way == NOWAIT)
        return t->way = READY, 1;
    if (r == -EINTR && bo_handlers_restart())
        return 1;
    return r == 0 && t->writes ? -EIO : r;
}

static int transfer(struct transfer *t, size_t *done)
{
    size_t size = t->left;
    long r = choose_way(t);
    if (r == 0 && size == 0)
        r = bough_check() == 0 ? 0 : -BO_ECUT; /* an interruption point even if there is nothing to transfer */
    else if (r == 0)
        do
            r = transfer_step(t);
        while (r > 0);
    if (done)
        *done = size - t->left;
    return (int)bo_result(r);
}

int bough_read_full(int fd, void *buffer, size_t size, size_t *done, bough_time deadline)
{
    struct transfer t = {.fd = fd, .at = buffer, .left = size, .deadline = deadline};
    return transfer(&t, done);
}

int bough_write_all(int fd, const void *buffer, size_t size, size_t *done, bough_time deadline)
{
    struct transfer t = {.fd = fd, .writes = true, .at = (char *)(uintptr_t)buffer, .left = size, .deadline = deadline};
    return transfer(&t, done);
}
