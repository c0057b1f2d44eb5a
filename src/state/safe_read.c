/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "state/safe_read.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "base/raw.h"
#include "state/current.h"

enum { PAGE = 4096, PIECES = BO_PEEK / PAGE + 1 };

static size_t to_page_end(uintptr_t at, size_t size)
{
    size_t left = PAGE - at % PAGE;
    return size < left ? size : left;
}

/* process_vm_readv() copies up to the end of the readable memory. Each page is one iovec, because the kernel may not
 * copy a part of an iovec. */
static long read_by_kernel(void *to, uintptr_t from, size_t size)
{
    struct iovec local = {to, size}, remote[PIECES];
    long count = 0;
    for (; size && count < PIECES; count++) {
        remote[count] = (struct iovec){(void *)from, to_page_end(from, size)};
        from += remote[count].iov_len;
        size -= remote[count].iov_len;
    }
    return bo_raw6(SYS_process_vm_readv, bo_load_relaxed(&bo_pid), (long)&local, 1, (long)remote, count, 0);
}

/* rt_sigprocmask() reads the mask before it checks `how`, which is invalid here: so the call changes nothing. */
static bool readable(uintptr_t at)
{
    return bo_raw4(SYS_rt_sigprocmask, -1, (long)(at & ~(uintptr_t)7), 0, 8) == -EINVAL;
}

__attribute__((no_sanitize("address", "thread"))) static void copy_bytes(char *to, uintptr_t from, size_t size)
{
    const volatile char *source = (const volatile char *)from;
    for (size_t i = 0; i < size; i++)
        to[i] = source[i];
}

/* For sandboxes that forbid process_vm_readv(). If another thread unmaps the memory between the test and the copy, this
 * process crashes. */
static size_t read_by_memcpy(char *to, uintptr_t from, size_t size)
{
    size_t done = 0;
    while (done < size && readable(from + done)) {
        size_t piece = to_page_end(from + done, size - done);
        copy_bytes(to + done, from + done, piece);
        done += piece;
    }
    return done;
}

size_t bo_peek(void *to, uintptr_t from, size_t size)
{
    if (size > BO_PEEK)
        size = BO_PEEK;
    long n = read_by_kernel(to, from, size);
    if (n >= 0)
        return (size_t)n;
    return n == -EPERM || n == -ENOSYS ? read_by_memcpy(to, from, size) : 0;
}

const char *bo_peek_text(char *to, size_t size, const char *from)
{
    size_t n = from ? bo_peek(to, (uintptr_t)from, size - 1) : 0;
    to[n] = '\0';
    return n ? to : strcpy(to, "?");
}
