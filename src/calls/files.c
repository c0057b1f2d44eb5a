/* SPDX-License-Identifier: MIT */
/* Files and descriptors: those with optional arguments, and those that are points only sometimes. */
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

/* Through libc, which may have to forget what it knows about the descriptor (musl: asynchronous operations).
 * Linux has closed it when it says EINTR: a caller that tried again could close another thread's. */
int bough_close(int fd)
{
    int r = close(fd);
    return r < 0 && errno == EINTR ? 0 : r;
}

/* The flag only says what EINTR is to mean, and there is none here. */
int bough_posix_close(int fd, int flag)
{
    (void)flag;
    return bough_close(fd);
}

int bough_fcntl(int fd, int command, ...)
{
    void *argument; /* which commands have one the kernel knows: libc reads it always, too */
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

/* A terminal's settings, in libc's struct termios, where requests have its size: libc's ioctl() makes the kernel's of
 * it. */
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
