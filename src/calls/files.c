/* SPDX-License-Identifier: MIT */
/* Calls on files and descriptors that have optional arguments, or are interruption points only in some cases. */
#include <bough/calls.h>
#include <fcntl.h>
#include <stdarg.h>
#include <linux/ioctl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "calls/calls.h"
#include "thread/call.h"

/* The argument after `last`. */
#define OPTIONAL(type, value, last) \
    do {                            \
        va_list list;               \
        va_start(list, last);       \
        value = va_arg(list, type); \
        va_end(list);               \
    } while (0)

static bool makes_a_file(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

int bough_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (makes_a_file(flags))
        OPTIONAL(mode_t, mode, flags);
    return (int)bo_result(BO_CALL(SYS_openat, AT_FDCWD, path, flags, mode));
}

int bough_openat(int dirfd, const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (makes_a_file(flags))
        OPTIONAL(mode_t, mode, flags);
    return (int)bo_result(BO_CALL(SYS_openat, dirfd, path, flags, mode));
}

/* This calls libc's close(), because libc may keep data about the descriptor that must be dropped (musl: asynchronous
 * operations). Linux has closed the descriptor even if close() fails with EINTR: a caller that tried again could close
 * another thread's descriptor. */
int bough_close(int fd)
{
    int r = close(fd);
    return r < 0 && errno == EINTR ? 0 : r;
}

/* The flag only selects the meaning of EINTR, which does not occur here. */
int bough_posix_close(int fd, int flag)
{
    (void)flag;
    return bough_close(fd);
}

int bough_fcntl(int fd, int command, ...)
{
    void *argument; /* always read, as libc does, because only the kernel knows which commands have an argument */
    OPTIONAL(void *, argument, command);
    if (!bo_waits_for_lock(command))
        return fcntl(fd, command, argument);
    return (int)bo_result(BO_CALL(SYS_fcntl, fd, command == F_OFD_SETLKW ? command : BO_SETLKW, argument));
}

int bough_lockf(int fd, int command, off_t length)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = length};
    return command == F_LOCK ? bough_fcntl(fd, F_SETLKW, &lock) : lockf(fd, command, length);
}

/* Whether the request passes a terminal's settings in libc's struct termios, whose size is then part of the request.
 * libc's ioctl() translates that struct to the kernel's. */
static bool libc_translates(unsigned request)
{
    enum { GET = 19, SET_AND_FLUSH = 22 };
    unsigned number = _IOC_NR(request);
    return _IOC_TYPE(request) == 't' && number >= GET && number <= SET_AND_FLUSH &&
           _IOC_SIZE(request) == sizeof(struct termios);
}

int bough_ioctl(int fd, bough_ioctl_request request, ...)
{
    void *argument;
    OPTIONAL(void *, argument, request);
    if (libc_translates((unsigned)request))
        return ioctl(fd, request, argument);
    return (int)bo_result(BO_CALL(SYS_ioctl, fd, (unsigned)request, argument));
}
