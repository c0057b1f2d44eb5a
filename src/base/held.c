/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/held.h"
#include <fcntl.h>
#include <sys/syscall.h>
#include "base/raw.h"

enum { HIGH = 512 };

bool bo_held_is(const struct bo_held *h)
{
    struct stat now;
    return h->fd >= 0 && fstat(h->fd, &now) == 0 && now.st_dev == h->is.st_dev && now.st_ino == h->is.st_ino;
}

static int moved_up(int fd)
{
    for (int least = HIGH; least > 2; least /= 2) {
        int high = fcntl(fd, F_DUPFD_CLOEXEC, least);
        if (high >= 0)
            return bo_raw1(SYS_close, fd), high;
    }
    return fd;
}

/* A forked child reuses the parent's descriptor number, if it still refers to the parent's file. */
void bo_held_keep(struct bo_held *h, int fd)
{
    if (!bo_held_is(h)) {
        h->fd = moved_up(fd);
    } else {
        bo_raw3(SYS_dup3, fd, h->fd, O_CLOEXEC);
        bo_raw1(SYS_close, fd);
    }
    fstat(h->fd, &h->is);
}

void bo_held_forget(struct bo_held *h)
{
    if (bo_held_is(h))
        bo_raw1(SYS_close, h->fd);
    h->fd = -1;
}
