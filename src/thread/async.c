/* SPDX-License-Identifier: MIT */
/* Regions in which a signal may interrupt running code: it makes the code leave an asynchronous region, and can freeze
 * a thread in a closable region. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "arch/frame.h"
#include "arch/window.h"
#include "base/futex.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/tree.h"
#include "thread/level.h"
#include "thread/region.h"
#include "upcalls.h"
#include "wake/frames.h"
#include "wake/ticker.h"

/* ---- asynchronous regions ------------------------------------------------------------------------------- */

int bough_async_begin_(struct bough_async *async, const char *file, int line)
{
    if (async)
        async->region.kind = 0;
    struct bo_thread *t = bo_region_beginner(async, 0, BO_FRAME());
    if (!t || bo_ticker_need() != 0 || bough_check() != 0)
        return -1;
    bo_region_push(t, &async->region, BO_ASYNC_REGION, file, line);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&async->region.saved[0], sizeof(uint64_t));
    t->open.async++;
    t->async = async;
    bo_level_set(t);
    return 0;
}

int bough_async_end(struct bough_async *async)
{
    return async ? bough_region_end(&async->region) : (errno = EINVAL, -1);
}

/* Reached by the siglongjmp() in bo_async_cut(). */
int bough_async_left_(struct bough_async *async)
{
    struct bo_thread *t = bo_self;
    bo_level_unwind(t, async->region.outer);
    bo_level_deliver(t);
    return errno = ECANCELED, -1;
}

/* Whether the signal has interrupted the region's code, and not a signal handler that has interrupted this code. The
 * region may be the last object in its frame, at the stack pointer. A handler blocks signals that the region did not
 * block (`mask`), or runs on the alternate stack, or its frame lies between. */
static bool is_of_region(const struct bo_thread *t, const ucontext_t *uc, const void *region, uint64_t mask)
{
    uintptr_t sp = bo_arch_sp(uc), at = (uintptr_t)region;
    uint64_t blocked;
    memcpy(&blocked, &uc->uc_sigmask, sizeof blocked);
    bool same_stack = sp <= at && (sp >= t->stack.low || at < t->stack.low);
    return blocked == mask && same_stack && !bo_frames_was_on_alternate_stack(uc, at) && bo_frames_between(sp, at) != 1;
}

/*
 * Called in the wake signal's handler, while an asynchronous region is open and an interrupt is due. If another handler
 * has interrupted the region, or the library is in an operation that has to be finished, the region is not left: the
 * ticker sends the wake again later (rule 14).
 */
void bo_async_cut(struct bo_thread *t, void *context)
{
    struct bough_async *async = t->async;
    if (!bo_pending_record(t, true)) {
        bo_level_recompute(t); /* the record was cleared meanwhile, or does not concern this thread */
        return;
    }
    if (!async || bo_busy || t->regions != &async->region || !is_of_region(t, context, async, async->region.saved[0])) {
        bo_ticker_watch(t);
        return;
    }
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&async->region.saved[0], 0, sizeof(uint64_t));
    siglongjmp(async->leave, 1);
}

/* ---- closable regions ------------------------------------------------------------------------------------ */

int bo_level_begin_closable(struct bough_region *region, const char *file, int line, uintptr_t sp)
{
    if (region)
        region->kind = 0;
    struct bo_thread *t = bo_region_beginner(region, 0, sp);
    if (!t || bo_ticker_need() != 0)
        return -1;
    bo_region_push(t, region, BO_CLOSABLE_REGION, file, line);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&region->saved[0], sizeof(uint64_t));
    t->open.closable++;
    bo_level_set(t);
    return 0;
}

/* The innermost closable region that the slot lists. */
static const struct bough_region *closable(const struct bo_thread *t)
{
    uint32_t depth = bo_load_relaxed(&t->depth), i = depth < BO_REGIONS ? depth : BO_REGIONS;
    while (i && t->region[i - 1].kind != BO_CLOSABLE_REGION)
        i--;
    return i ? t->region[i - 1].at : NULL;
}

/* A region that was begun in a signal handler does not cover the code that the handler has interrupted. For code on
 * another stack this can't be determined: the result is false. */
bool bo_level_in_closable(const struct bo_thread *t, const void *context)
{
    const struct bough_region *region = closable(t);
    uintptr_t sp = bo_arch_sp(context);
    return region && sp >= t->stack.low && sp < t->stack.high && is_of_region(t, context, region, region->saved[0]) &&
           bo_frames_between(sp, t->stack.high) != 1;
}
