/* SPDX-License-Identifier: MIT */
#include <bough/interrupt.h>
#include <errno.h>
#include <stdio.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/proc_status.h"
#include "state/generation.h"
#include "thread/adopt.h"
#include "thread/stranger.h"
#include "wake/ticker.h"

/* The handle of the thread's slot, made by the thread itself or by another thread; 0: there is none. If a former thread
 * with the same id has left a slot, that slot is released. */
static uint64_t known_slot(pid_t tid, const struct bo_thread *except)
{
    struct bo_thread *t;
    uint64_t w;
    for (uint32_t i = 1; (t = bo_stranger_next_of(tid, except, &i, &w));)
        if (!bo_is_strange(w) || !bo_stranger_is_gone(t, w))
            return bo_handle_make(t->t.index, bo_word_generation(w), false);
    return 0;
}

static void take_kernel_name(struct bo_thread *t, const char *name)
{
    char kernel[BO_NAME];
    if (!name || !*name) {
        size_t n = bo_read_task(bo_load_relaxed(&t->tid), "comm", kernel, sizeof kernel);
        kernel[n ? n - 1 : 0] = '\0'; /* without the line break */
        name = kernel;
    }
    bo_set_name(&t->t, name);
}

static struct bo_thread *make_stranger(pid_t tid, const char *name, uint64_t *handle)
{
    struct bo_thread *t = bo_thread_new();
    if (!t)
        return NULL;
    bo_store_relaxed(&t->tid, tid);
    t->stack.low = bo_stranger_born(tid);
    t->stack.high = 0;
    take_kernel_name(t, name);
    bo_begin_adopted(t);
    *handle = bo_thread_handle(t); /* the thread may end this generation as soon as it is published */
    bo_stranger_begin();
    bo_publish(t, BO_ROOT, BO_UNADOPTED);
    BO_HOOK(stranger_made);
    return t;
}

/* The thread's handle; 0: the table is full. */
static uint64_t handle_for(pid_t tid, const char *name)
{
    uint64_t handle, own = known_slot(tid, NULL);
    if (own)
        return own;
    struct bo_thread *t = make_stranger(tid, name, &handle);
    if (!t)
        return 0;
    own = known_slot(tid, t);
    if (!own)
        return handle;
    if (bo_stranger_claim(t, bo_handle_generation(handle)))
        bo_stranger_move_to(t, own);
    return own;
}

bough_thread *bough_adopt_thread(pid_t tid, const char *name)
{
    if (bo_init() != 0)
        return NULL;
    if (tid <= 0)
        return errno = EINVAL, NULL;
    if (tid == bo_tid())
        return bo_self ? bough_self() : bough_adopt(name);
    if (!bo_stranger_exists(tid))
        return errno = ESRCH, NULL;
    bo_lock(&bo_strangers_lock);
    uint64_t handle = handle_for(tid, name);
    bo_unlock(&bo_strangers_lock);
    if (!handle)
        return errno = EAGAIN, NULL;
    bo_ticker_need(); /* after a failure, only the ticker's reports are missing */
    return (bough_thread *)(uintptr_t)handle;
}

int bough_release_thread(bough_thread *thread)
{
    struct bo_thread *t = bo_thread_of_handle(thread);
    if (!t)
        return -1;
    if (!bo_stranger_claim(t, bo_handle_generation((uint64_t)(uintptr_t)thread)))
        return errno = bo_thread_of_handle(thread) ? EPERM : ESRCH, -1;
    bo_stranger_release(t);
    return 0;
}
