/* SPDX-License-Identifier: MIT */
#include "base/raw.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/atomic.h"

/* This uses libc's syscall(), which exists on every machine. errno is restored, because a signal handler may call this
 * function between a call of the program and its test of errno. */
BO_BARE long bo_raw6(long nr, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long r = syscall(nr, a, b, c, d, e, f);
    if (r == -1) {
        r = -errno;
        errno = saved;
    }
    return r;
}

long bo_raise(int signo)
{
    long pid = bo_raw0(SYS_getpid), error = bo_raw3(SYS_tgkill, pid, bo_raw0(SYS_gettid), signo);
    return error ? bo_raw2(SYS_kill, pid, signo) : 0;
}

size_t bo_read_file(const char *path, char *text, size_t size)
{
    long fd = bo_raw4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0), n = 0;
    if (fd >= 0) {
        do
            n = bo_raw3(SYS_read, fd, (long)text, (long)size - 1);
        while (n == -EINTR);
        bo_raw1(SYS_close, fd);
    }
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}
