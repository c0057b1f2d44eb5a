/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/safe_write.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/plain.h"
#include "base/raw.h"
#include "base/writable.h"

#define PATIENCE BO_SEC(2)
#define LONGEST BO_SEC(10)

#ifndef RWF_NOWAIT /* not defined by older libcs, nor by musl */
#define RWF_NOWAIT 8
#endif

void bo_out_memory(struct bo_out *o, char *buffer, size_t size)
{
    *o = (struct bo_out){.buffer = buffer, .size = size, .fd = -1};
    if (size)
        buffer[0] = '\0';
}

/* ---- the descriptor ------------------------------------------------------------------------------- */

void bo_out_open(struct bo_out *o, int fd, char *buffer, size_t size)
{
    *o = (struct bo_out){.buffer = buffer, .size = size, .fd = fd, .until = BO_FOREVER, .left = LONGEST};
    bo_quiet_begin(&o->quiet);
}

/* Waits until the descriptor can be written to; false: not in time. */
static bool wait_ready(const struct bo_out *o)
{
    for (;;) {
        int64_t end = o->patience < o->longest ? o->patience : o->longest, left = end - bo_clock();
        long n = bo_writable(o->fd, left > 0 ? left : 0);
        if (n != -EINTR)
            return n > 0;
        if (left <= 0)
            return false;
    }
}

/*
 * Writes without waiting, where the kernel supports that. Elsewhere a descriptor that poll() reports as ready accepts
 * PIPE_BUF bytes without blocking, unless another process fills it at the same moment.
 */
static long write_some(const struct bo_out *o, const char *from, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)from, size < PIPE_BUF ? size : PIPE_BUF};
    long n = bo_raw6(SYS_pwritev2, o->fd, (long)&part, 1, -1, -1, RWF_NOWAIT);
    if (n != -EOPNOTSUPP && n != -ENOSYS && n != -EINVAL)
        return n;
    return wait_ready(o) ? bo_raw3(SYS_write, o->fd, (long)part.iov_base, (long)part.iov_len) : -EAGAIN;
}

void bo_out_flush(struct bo_out *o)
{
    size_t done = 0;
    int64_t begun = bo_clock();
    o->patience = begun + PATIENCE;
    o->longest = o->until - begun < o->left ? o->until : begun + o->left;
    if (o->work)
        bo_add_seq(o->work, 1);
    while (!o->error && done < o->used) {
        long n = write_some(o, o->buffer + done, o->used - done);
        if (n > 0) {
            done += (size_t)n;
            o->patience = bo_clock() + PATIENCE;
        } else if (n == -EAGAIN || n == 0) {
            if (!wait_ready(o))
                o->error = EAGAIN;
        } else if (n != -EINTR) {
            o->error = (int)-n;
        }
        if (bo_clock() > o->longest && !o->error)
            o->error = EAGAIN;
    }
    o->left -= bo_clock() - begun;
    o->used = 0;
}

int bo_out_close(struct bo_out *o)
{
    bo_out_flush(o);
    bo_quiet_end(&o->quiet, o->error);
    return o->error ? (errno = o->error, -1) : 0;
}

/* ---- text ----------------------------------------------------------------------------------------- */

/* Formats in the buffer itself, because the stack may be small. False: there was no room, and nothing was added. */
__attribute__((format(printf, 2, 0))) static bool place(struct bo_out *o, const char *format, va_list arguments)
{
    size_t room = o->size - o->used;
    int n = vsnprintf(o->buffer + o->used, room, format, arguments);
    if (n >= 0 && (size_t)n < room) {
        o->used += (size_t)n;
        return true;
    }
    return false;
}

void bo_put(struct bo_out *o, const char *format, ...)
{
    if (o->error || o->used >= o->size)
        return;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    bool placed = place(o, format, arguments);
    if (!placed && o->fd >= 0 && o->used) {
        bo_out_flush(o);
        placed = place(o, format, again);
    }
    if (!placed)
        o->used = o->size - 1; /* as much as fits was written, and terminated */
    va_end(again);
    va_end(arguments);
}

void bo_put_span(struct bo_out *o, int64_t ns)
{
    long long ms = ns > 0 ? ns / BO_MS(1) : 0;
    if (ms < 1000)
        bo_put(o, "%lld ms", ms);
    else if (ms < 100000)
        bo_put(o, "%lld.%lld s", ms / 1000, ms % 1000 / 100);
    else
        bo_put(o, "%lld s", ms / 1000);
}

void bo_put_name(struct bo_out *o, const char *name)
{
    for (int n; *name; name += n ? n : 1) {
        n = bo_printable(name);
        if (n)
            bo_put(o, "%.*s", n, name);
        else
            bo_put(o, "\\x%02x", (unsigned char)*name);
    }
}
