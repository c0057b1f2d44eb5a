/* SPDX-License-Identifier: MIT */
/* Stand-ins for functions that make one blocking system call inside libc, and are not in the table of interruptible
 * calls. */
#define _GNU_SOURCE
#include <bough/calls.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/raw.h"
#include "interpose/may_block.h"
#include "interpose/outcome.h"
#include "interpose/wrapper.h"
#include "thread/call.h"
#include "thread/foreign.h"

/* ---- leases ------------------------------------------------------------------------------------------------ */

/* Does the lease in this line of /proc/locks block an open() of the file? For example:
 * "1: LEASE  ACTIVE    READ  4711 fe:01:1234 0 EOF". A lease that is being broken blocks any open(). */
static bool is_in_the_way(const char *line, const struct stat *file, bool writing)
{
    char state[16], type[16];
    unsigned major_number, minor_number;
    unsigned long inode;
    if (sscanf(line, "%*s LEASE %15s %15s %*d %x:%x:%lu", state, type, &major_number, &minor_number, &inode) != 5)
        return false;
    if (inode != file->st_ino || makedev(major_number, minor_number) != file->st_dev)
        return false;
    return writing || strcmp(state, "ACTIVE") != 0 || strcmp(type, "WRITE") == 0;
}

/* Makes system calls directly: in a program that bough is linked into, its calls of libc reach the stand-ins, too. */
bool bo_is_leased(const struct stat *file, bool writing)
{
    char text[4096];
    size_t have = 0;
    bool found = false;
    long fd = bo_raw4(SYS_openat, AT_FDCWD, (long)"/proc/locks", O_RDONLY | O_CLOEXEC, 0), n = 0;
    while (fd >= 0 && !found && (n = bo_raw3(SYS_read, fd, (long)(text + have), (long)(sizeof text - 1 - have))) > 0) {
        char *line = text, *end;
        have += (size_t)n;
        text[have] = '\0';
        for (; !found && (end = strchr(line, '\n')); line = end + 1)
            found = is_in_the_way(line, file, writing);
        have -= (size_t)(line - text);
        memmove(text, line, have);
    }
    if (fd >= 0)
        bo_raw1(SYS_close, fd);
    return found;
}

/* ---- the stand-ins ------------------------------------------------------------------------------------------ */

#define REAL(name, params) ((int(*) params)real_##name)

/* `call` is the interruptible system call: -1 with errno on failure. */
#define BODY(name, params, args, on, blocks, call)                                          \
    struct bo_thread *t = bo_foreign_thread();                                              \
    if (!t)                                                                                 \
        return REAL(name, params) args;                                                     \
    const struct bo_site site = {#name, __builtin_return_address(0), BO_EINTR_FIRST, (on)}; \
    int error = bo_outcome_before(t, &site, (blocks));                                      \
    if (error)                                                                              \
        return errno = error, -1;                                                           \
    bo_foreign_enter(t, bo_outcome_step(t, &site));                                         \
    int result = (call) < 0 ? -1 : 0;                                                       \
    if (!bo_foreign_leave(t))                                                               \
        return (int)(bo_outcome_armed ? bo_outcome_after(t, &site, result) : result);       \
    if (!(blocks)) {                                                                        \
        bo_foreign_ignore(t);                                                               \
        return REAL(name, params) args;                                                     \
    }                                                                                       \
    return errno = bo_outcome_of(t, &site), -1;

static uintptr_t real_truncate;

static int stand_in_truncate(const char *path, off_t length)
{
    BODY(truncate, (const char *, off_t), (path, length), bo_on_nothing(), truncate_waits(path),
         bo_result(BO_CALL(SYS_truncate, path, length)))
}

#ifdef __GLIBC__
static uintptr_t real_eventfd_read, real_eventfd_write;

static int stand_in_eventfd_read(int fd, eventfd_t *value)
{
    BODY(eventfd_read, (int, eventfd_t *), (fd, value), bo_on_fd(fd), fd_may_block(fd),
         bough_read(fd, value, sizeof *value) == sizeof *value ? 0 : -1)
}

static int stand_in_eventfd_write(int fd, eventfd_t value)
{
    BODY(eventfd_write, (int, eventfd_t), (fd, value), bo_on_fd(fd), fd_may_block(fd),
         bough_write(fd, &value, sizeof value) == sizeof value ? 0 : -1)
}
#endif

const struct bo_wrapper bo_inside_wrappers[] = {
    BO_STAND_IN(truncate, truncate),
    BO_STAND_IN(truncate64, truncate), /* the same function where off_t has 64 bits */
#ifdef __GLIBC__
    BO_STAND_IN(eventfd_read, eventfd_read),
    BO_STAND_IN(eventfd_write, eventfd_write),
#endif
    {0},
};
