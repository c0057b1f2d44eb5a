/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/eintr.h"
#include <bough/interpose.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/atomic.h"
#include "interpose/object.h"

/* For each library: where its source handles a failed wait, and what it does on an error other than EINTR.
 * docs/clients.md has the lines. */
static const char *const built_in[] = {
    "libuv.so",       /* uv__io_poll(), uv_sem_wait(), uv_cond_wait(), uv_thread_join(): abort() */
    "libuv-*",        /* libuv, under the name that Python wheels give it */
    "loop.cpython*",  /* uvloop's wheels contain libuv */
    "_corecffi.*",    /* gevent's wheels contain libuv, and libev */
    "corecext.*",     /* gevent's wheels */
    "libev.so",       /* epoll_poll(), poll_poll(), select_poll(): ev_syserr(), which aborts */
    "libzmq.so",      /* epoll_t, poll_t, signaler_t: errno_assert(errno == EINTR) */
    "libzmq-*",       /* pyzmq's wheels */
    "libglib-2.0.so", /* g_main_context_poll(): a warning, which aborts where warnings are fatal */
    "libstdc++.so",   /* futex and semaphore waits: std::terminate() */
    "libc++.so",      /* as libstdc++ */
};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };

/* The list only grows, so it is read without a lock. */
struct added {
    struct added *next;
    char name[];
};

static struct added *_Atomic list;

static int add_eintr_name(const char *name, size_t length)
{
    struct added *a = malloc(sizeof *a + length + 1);
    if (!a)
        return errno = ENOMEM, -1;
    memcpy(a->name, name, length);
    a->name[length] = '\0';
    a->next = bo_load_acquire(&list);
    while (!bo_cas_seq(&list, &a->next, a)) {
    }
    return 0;
}

int bough_interpose_eintr_only(const char *object)
{
    if (!object)
        return errno = EINVAL, -1;
    return bo_eintr_only(object) ? 0 : add_eintr_name(object, strlen(object));
}

void bo_eintr_init(void)
{
    static _Atomic bool done;
    const char *names = bo_swap_seq(&done, true) ? NULL : secure_getenv("BOUGH_EINTR_ONLY");
    while (names && *names) {
        size_t length = strcspn(names, ":");
        if (length)
            add_eintr_name(names, length);
        names += length + (names[length] == ':');
    }
}

bool bo_eintr_only(const char *path)
{
    for (int i = 0; i < BUILT_IN; i++)
        if (bo_path_is_named(path, built_in[i]))
            return true;
    for (const struct added *a = bo_load_acquire(&list); a; a = a->next)
        if (bo_path_is_named(path, a->name))
            return true;
    return false;
}

void bo_eintr_visit(void (*visit)(void *context, const char *name, bool built_in), void *context)
{
    for (int i = 0; i < BUILT_IN; i++)
        visit(context, built_in[i], true);
    for (const struct added *a = bo_load_acquire(&list); a; a = a->next)
        visit(context, a->name, false);
}
