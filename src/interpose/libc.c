/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/libc.h"
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include "base/atomic.h"

static _Atomic uintptr_t libc_at; /* set once all functions of libc have been looked up */

/* Opens libc itself, so that a look-up does not find functions of the same name that come before libc's (of a preloaded
 * library). */
void *bo_libc_open(void)
{
    Dl_info info;
    void *here = (void *)(uintptr_t)__errno_location;
    if (!dladdr(here, &info) || !info.dli_fname)
        return NULL;
    return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

void bo_libc_is_known(void)
{
    bo_store_release(&libc_at, (uintptr_t)__errno_location);
}

uintptr_t bo_libc_address(void)
{
    return bo_load_acquire(&libc_at);
}
