/* SPDX-License-Identifier: MIT */
/*
 * Common code of the synchronisation objects.
 *
 * The rule that all of them keep (rules 9 and 11): a wake-up that a waiter has consumed is never lost to an interrupt.
 * They keep it by the order of their steps. A wake-up reaches only threads inside bo_sync_wait(). Whatever that
 * returns, the waiter first checks whether it can take what it waits for, and leaves with ECANCELED or ETIMEDOUT only
 * if it can't. So a thread that leaves has just seen that nothing is available: another thread has taken what the
 * wake-up announced. A wake-up after that check wakes a thread that still sleeps, because this one no longer does.
 *
 * No thread is frozen in the middle of such a wait (rule 37): otherwise a queue would keep its place. The wait is
 * interrupted, the thread leaves cleanly, and is frozen at its next point.
 */
#ifndef BO_SYNC_SYNC_H
#define BO_SYNC_SYNC_H

#include <errno.h>
#include <bough/interrupt.h>
#include <bough/sync.h>
#include "base/atomic.h"
#include "base/futex.h"
#include "base/hook.h"
#include "thread/call.h"

/* The public structs have plain fields, because C++ has no _Atomic. */
static inline _Atomic uint32_t *bo_word32(const uint32_t *word)
{
    return (_Atomic uint32_t *)(uintptr_t)word;
}

/* One interruptible wait on a word. Returns 0 if the caller should check again, or the error to fail with if that check
 * finds nothing: -BO_ECUT, -ETIMEDOUT. `deadline` as in the public interface. */
static inline long bo_sync_wait(const _Atomic uint32_t *word, uint32_t expected, bough_time deadline)
{
    int64_t until = deadline == 0 ? BO_FOREVER : deadline > 0 ? deadline : 1;
    bo_busy_begin();
    long r = bo_futex_wait(word, expected, until);
    bo_busy_end();
    if (r == 0)
        BO_HOOK(futex_woken);
    return r == -EAGAIN || r == -EINTR ? 0 : r;
}

#endif
