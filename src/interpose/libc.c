/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/libc.h"
#include <dlfcn.h>
#include <stddef.h>
#include "base/atomic.h"

#ifdef __GLIBC__
#include <gnu/lib-names.h>
#define LIBC_NAME LIBC_SO
#else
#define LIBC_NAME "libc.so" /* musl's loader takes this name for itself, wherever its file is */
#endif

static _Atomic uintptr_t libc_at; /* set once all functions of libc have been looked up */

/* Opens libc itself, so that a look-up does not find a preloaded library's functions of the same name, which precede
 * libc's. Opens it by its name, because the addresses of libc's functions, as this object has them, can be in the jump
 * table of a program at a fixed address. */
void *bo_libc_open(void)
{
    return dlopen(LIBC_NAME, RTLD_LAZY | RTLD_NOLOAD);
}

void bo_libc_is_known(void *libc)
{
    bo_store_release(&libc_at, (uintptr_t)dlsym(libc, "__errno_location"));
}

uintptr_t bo_libc_address(void)
{
    return bo_load_acquire(&libc_at);
}
