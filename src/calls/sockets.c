/* SPDX-License-Identifier: MIT */
/*
 * Messages. The kernel's struct msghdr and cmsghdr have 64-bit lengths. In POSIX and musl the lengths are int and
 * socklen_t, with padding that is not cleared. So narrow lengths are widened here. With glibc, whose lengths are wide,
 * the compiler removes this code.
 */
#include <bough/calls.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "thread/call.h"

enum {
    NARROW = sizeof((struct msghdr *)0)->msg_iovlen < sizeof(size_t),
    CONTROL_MAX = 2048, /* has room for the most descriptors that the kernel accepts (SCM_MAX_FD) */
};

/* struct msghdr and struct cmsghdr as the kernel reads them. */
struct __attribute__((may_alias)) wide_message {
    void *name;
    socklen_t name_length;
    struct iovec *iov;
    size_t iov_count;
    void *control;
    size_t control_length;
    int flags;
};
typedef size_t __attribute__((may_alias)) wide_length;

_Static_assert(sizeof(struct wide_message) == sizeof(struct msghdr), "they share their memory");

static void widen(struct msghdr *message)
{
    struct wide_message *wide = (struct wide_message *)message;
    size_t iov_count = (size_t)message->msg_iovlen, control_length = message->msg_controllen;
    wide->iov_count = iov_count;
    wide->control_length = control_length;
}

/* Widens a copy of the control data, because the caller's data is const. 0, or -ENOMEM if it is longer than the kernel
 * accepts. */
static long widen_control(struct msghdr *message, void *copy)
{
    if (!message->msg_controllen)
        return 0;
    if (message->msg_controllen > CONTROL_MAX)
        return -ENOMEM;
    memcpy(copy, message->msg_control, message->msg_controllen);
    message->msg_control = copy;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t length = c->cmsg_len;
        *(wide_length *)(void *)c = length;
    }
    return 0;
}

static long send_widened(int fd, const struct msghdr *message, int flags)
{
    _Alignas(struct cmsghdr) char control[CONTROL_MAX];
    struct msghdr copy = *message;
    long r = widen_control(&copy, control);
    if (r < 0)
        return r;
    widen(&copy);
    return BO_CALL(SYS_sendmsg, fd, &copy, flags);
}

ssize_t bough_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return bo_result(NARROW ? send_widened(fd, message, flags) : BO_CALL(SYS_sendmsg, fd, message, flags));
}

ssize_t bough_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (NARROW)
        widen(message); /* in place, because the caller does not use the padding */
    return bo_result(BO_CALL(SYS_recvmsg, fd, message, flags));
}

int bough_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, bough_mmsg_flags flags, struct timespec *timeout)
{
    for (unsigned i = 0; NARROW && i < count; i++)
        widen(&messages[i].msg_hdr);
    return (int)bo_result(BO_CALL(SYS_recvmmsg, fd, messages, count, flags, timeout));
}

/* If not all messages could be sent, returns the number that was sent, as the kernel's call does. */
static int send_each(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    for (unsigned i = 0; i < count; i++) {
        ssize_t sent = bough_sendmsg(fd, &messages[i].msg_hdr, flags);
        if (sent < 0)
            return i ? (int)i : -1;
        messages[i].msg_len = (unsigned)sent;
    }
    return (int)count;
}

int bough_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, bough_mmsg_flags flags)
{
    if (NARROW)
        return send_each(fd, messages, count, (int)flags);
    return (int)bo_result(BO_CALL(SYS_sendmmsg, fd, messages, count, flags));
}
