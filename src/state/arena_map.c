/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "state/arena_map.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/futex.h"
#include "base/held.h"
#include "base/hook.h"
#include "base/raw.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static struct bo_held arena = {.fd = -1}, mailbox = {.fd = -1};
static char hidden_reason[80];

const char *bo_map_hidden(void)
{
    return hidden_reason[0] ? hidden_reason : NULL;
}

/* The reason becomes the mapping's name, in which the kernel accepts at most 80 bytes, without \ ` $ [ ]. */
static int hide(const char *why, long error)
{
    snprintf(hidden_reason, sizeof hidden_reason, error ? "bough hidden: %s (errno %ld)" : "bough hidden: %s", why,
             error);
    return -1;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

long bo_map_file(const char *name)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    long fd = bo_raw2(SYS_memfd_create, (long)name, flags | MFD_NOEXEC_SEAL);
    return fd == -EINVAL ? bo_raw2(SYS_memfd_create, (long)name, flags) : fd; /* before Linux 6.3 */
}

/* Tested before ftruncate(), because the kernel would also send SIGXFSZ for a size beyond the limit. */
static bool too_large(size_t size)
{
    struct rlimit most;
    return getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY && most.rlim_cur < size;
}

static bool asked_to_hide(void)
{
    const char *value = secure_getenv("BOUGH_HIDDEN");
    return value && *value && strcmp(value, "0") != 0;
}

static int file_of(size_t size)
{
    if (asked_to_hide())
        return hide("BOUGH_HIDDEN is set", 0);
    if (too_large(size))
        return hide("the limit of file sizes (RLIMIT_FSIZE) is too low", 0);
    long fd = bo_map_file("bough");
    if (fd < 0)
        return hide("memfd_create() failed", -fd);
    if (ftruncate((int)fd, (off_t)size) == 0)
        return (int)fd;
    hide("ftruncate() failed", errno);
    bo_raw1(SYS_close, fd);
    return -1;
}

void bo_map_forget(void)
{
    bo_held_forget(&arena);
    bo_held_forget(&mailbox);
}

/* ---- the mapping ------------------------------------------------------------------------------------------- */

/*
 * A process that may read the file may also open it for writing. The seals fix its length (otherwise an access of this
 * process could fail), and allow writes only by this mapping, because the arena contains pointers. The seals are set
 * after the mapping was made.
 */
static bool seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0;
}

static void *map_shared(void *at, size_t size)
{
    int fd = file_of(size);
    if (fd < 0)
        return MAP_FAILED;
    void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
    if (p == MAP_FAILED) {
        hide("mmap() failed", errno);
        bo_raw1(SYS_close, fd);
        return p;
    }
    if (!seal(fd)) {
        hide("its file can't be sealed, which needs Linux 5.1", errno);
        bo_raw1(SYS_close, fd);
        munmap(p, size);
        return MAP_FAILED;
    }
    bo_held_keep(&arena, fd);
    /* A child that inherited the mapping would write into its parent's tree. A child that was made without fork
     * handlers, and so has no arena, crashes instead. */
    madvise(p, size, MADV_DONTFORK);
    return p;
}

/* The number of forking threads, and a lock for its changes from 0 to 1 and back: MADV_DONTFORK by another thread must
 * not come between this thread's MADV_DOFORK and its fork. The lock is held for one system call, never across a fork.
 * */
static struct bo_lock changing;
static uint32_t forking;

static void lend(void *p, size_t size, bool begin)
{
    int saved = errno;
    if (hidden_reason[0])
        return; /* the memory is private: the child has a copy anyway */
    bo_lock(&changing);
    BO_HOOK(arena_lent);
    if (begin ? forking++ == 0 : --forking == 0)
        madvise(p, size, begin ? MADV_DOFORK : MADV_DONTFORK);
    bo_unlock(&changing);
    errno = saved;
}

void bo_map_lend(void *p, size_t size)
{
    lend(p, size, true);
}

void bo_map_take_back(void *p, size_t size)
{
    lend(p, size, false);
}

void bo_map_lent(void)
{
    bo_store_relaxed(&changing.state, 0);
    forking = 0;
}

static void *map_private(void *at, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0);
    void *p = mmap(at, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p != MAP_FAILED)
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, size, hidden_reason);
    bo_map_forget();
    return p;
}

void *bo_map_new(void *at, size_t size)
{
    int saved = errno;
    hidden_reason[0] = '\0';
    void *p = map_shared(at, size);
    if (p == MAP_FAILED)
        p = map_private(at, size);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

/* Other processes write to this file, so only its length is sealed. Only its owner and root can open it. */
void *bo_map_mail(size_t size)
{
    if (hidden_reason[0])
        return NULL;
    int saved = errno;
    long fd = bo_map_file("bough-mail");
    void *p = MAP_FAILED;
    if (fd >= 0 && fchmod((int)fd, 0600) == 0 && ftruncate((int)fd, (off_t)size) == 0 &&
        fcntl((int)fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (p == MAP_FAILED) {
        if (fd >= 0)
            bo_raw1(SYS_close, fd);
        bo_held_forget(&mailbox);
    } else {
        madvise(p, size, MADV_DONTFORK);
        bo_held_keep(&mailbox, (int)fd);
    }
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}
