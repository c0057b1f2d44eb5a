/* SPDX-License-Identifier: MIT */
/* A stand-in for dlopen(), which is not in the table of interruptible calls. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include "interpose/wrapper.h"
#include "thread/foreign.h"

static uintptr_t real_dlopen;

/* The loaded objects are patched before they make their first call. */
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
