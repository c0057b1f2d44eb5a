/* SPDX-License-Identifier: MIT */
#include "base/raw.h"
#include <errno.h>
#include <unistd.h>
#include "base/atomic.h"

/* Through libc's syscall(), which is there on every machine; errno is put back, since a signal handler
 * may run this between a program's call and its look at errno. */
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
