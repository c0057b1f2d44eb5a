/* SPDX-License-Identifier: MIT */
/* Stand-ins for what is in no table of interruptible calls: dlopen(). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include "interpose/wrapper.h"
#include "thread/foreign.h"

static uintptr_t real_dlopen;

/* What it has loaded takes part from its first call on. */
static void *stand_in_dlopen(const char *file, int flags)
{
    void *handle = ((void *(*)(const char *, int))real_dlopen)(file, flags);
    void (*refresh)(void) = bo_load_acquire(&bo_foreign_refresh);
    if (handle && refresh)
        refresh();
    return handle;
}

const struct bo_wrapper bo_other_wrappers[] = {
    BO_STAND_IN(dlopen, dlopen),
    {0},
};
