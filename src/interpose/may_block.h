/* SPDX-License-Identifier: MIT */
/* Whether a call may block: the predicates that calls/calls.def expects of its includer. They are evaluated only after
 * an interrupt. */
#ifndef BO_INTERPOSE_MAY_BLOCK_H
#define BO_INTERPOSE_MAY_BLOCK_H

#include <asm/termbits.h> /* the kernel's struct termios, whose size is a part of TCSETSW on some machines */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

/* Does another process or descriptor hold a lease on the file, which an open() for reading, or for `writing`, waits
 * for? */
bool bo_is_leased(const struct stat *file, bool writing);

/* False for a regular file, a directory and O_NONBLOCK; if `fd` is not a descriptor, too: libc's call reports that. */
static inline bool fd_may_block(int fd)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK) && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) &&
           !S_ISDIR(status.st_mode);
}

/* The request without the size of its argument: libc's struct termios is larger than the kernel's, and on some
 * machines, PowerPC for one, libc's TCSETSW has libc's size. libc's ioctl() translates it. */
static inline unsigned long without_size(unsigned long request)
{
#ifdef _IOC_SIZEMASK
    return request & ~((unsigned long)_IOC_SIZEMASK << _IOC_SIZESHIFT);
#else /* musl */
    return request & ~0x3fff0000ul;
#endif
}

/* Requests that first wait until a terminal has sent its output. Linux starts that wait again when a signal comes while
 * another thread's write() to the terminal waits (set_termios() in drivers/tty/tty_ioctl.c): the thread spins in the
 * kernel until that write has ended. */
static inline bool spins_at_signals(unsigned long request)
{
    enum { SET_AND_WAIT = 0x4000542C, SET_AND_FLUSH = 0x4000542D }; /* TCSETSW2, TCSETSF2: not in each libc's headers */
    unsigned long bare = without_size((unsigned)request);
    return bare == without_size(TCSETSW) || bare == without_size(TCSETSF) || bare == without_size(TCSETAW) ||
           bare == without_size(TCSETAF) || bare == SET_AND_WAIT || bare == SET_AND_FLUSH;
}

/* A message queue has the mode of a regular file, for which fd_may_block() would return false. */
static inline bool queue_may_block(int queue)
{
    int flags = fcntl(queue, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK);
}

/* open() of a FIFO waits for its other end, of a device for whatever its driver chooses, of a regular file for the
 * holder of a lease. */
static inline bool open_may_block(int dirfd, const char *path, int flags)
{
    struct stat status;
    if ((flags & O_NONBLOCK) || fstatat(dirfd, path, &status, 0) != 0)
        return false;
    if (S_ISREG(status.st_mode))
        return bo_is_leased(&status, (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC));
    return S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
}

static inline bool truncate_waits(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && bo_is_leased(&status, true);
}

static inline bool time_may_block(const struct timespec *time)
{
    return !time || time->tv_sec != 0 || time->tv_nsec != 0;
}

#endif
