/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include "arch/window.h"
#include "base/atomic.h"
#include "base/raw.h"

/* Set by the signal's handler: a wake came during the call. */
static BO_TLS _Atomic bool woken;

/* A nested call, by a signal handler, must not change `woken` of the outer call, so it is saved. */
long bo_window_plain(const void *due, long nr, long a, long b, long c, long d, long e, long f)
{
    if (bo_load_seq((const _Atomic uint8_t *)due) & BO_ARCH_DUE)
        return -BO_ECUT;
    bool outer = bo_load_relaxed(&woken);
    bo_store_relaxed(&woken, false);
    long r = bo_raw6(nr, a, b, c, d, e, f);
    bool mine = bo_load_relaxed(&woken);
    bo_store_relaxed(&woken, outer);
    return r == -EINTR && mine ? -BO_EWOKEN : r;
}

BO_BARE enum bo_where bo_arch_where(const void *context, bool *on_top)
{
    (void)context;
    *on_top = false;
    return BO_ELSEWHERE;
}

BO_BARE void bo_arch_cancel(void *context)
{
    (void)context;
}

BO_BARE void bo_arch_woken(void *context, int number)
{
    (void)context, (void)number;
    bo_store_relaxed(&woken, true);
}

/* The context's registers are unknown here. The frame of the handler is close enough: unless the handler runs on an
 * alternate stack, its frame lies below the interrupted frame. */
uintptr_t bo_arch_sp(const void *context)
{
    return (uintptr_t)context;
}

int bo_arch_handler_between(uintptr_t low, uintptr_t high, uintptr_t restorer)
{
    (void)low;
    (void)high;
    (void)restorer;
    return -1;
}
