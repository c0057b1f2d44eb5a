/* SPDX-License-Identifier: MIT */
/*
 * Common code of the synchronisation objects.
 *
 * An interrupt never loses a wake-up that a waiter has consumed (rules 9 and 11), because of the order of steps. A
 * wake-up reaches only threads inside bo_sync_wait(). After any result of that function the waiter first tries to take
 * the object that it waits for, and leaves with ECANCELED or ETIMEDOUT only if the object is not available. So if the
 * waiter leaves after a wake-up, another thread has taken that object. A wake-up after that check wakes another thread,
 * which still sleeps.
 *
 * No thread is frozen inside such a wait (rule 37), because its ticket would stay in the queue. The wait is
 * interrupted, the thread leaves it cleanly, and is frozen at its next point.
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

/* One interruptible wait on a word. Returns 0 if the caller should check again; or the error to fail with if the check
 * fails: -BO_ECUT, -ETIMEDOUT. `deadline` as in the public interface. */
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
