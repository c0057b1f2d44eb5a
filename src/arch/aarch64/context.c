/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <ucontext.h>
#include "arch/window.h"
#include "base/atomic.h"

BO_BARE static uintptr_t counter(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)uc->uc_mcontext.pc;
}

/* In [set, begin) of bo_window(): the store has not taken place, or IN was set before it. x9 and w11 keep that until `begin`. */
BO_BARE static bool is_refused(const void *context)
{
    const ucontext_t *uc = context;
    return (uint32_t)uc->uc_mcontext.regs[11] || (uc->uc_mcontext.regs[9] >> BO_ARCH_IN & 1);
}

BO_BARE enum bo_where bo_arch_where(const void *context, bool *on_top)
{
    enum bo_where where;
    const struct bo_window_places *w = bo_window_at(counter(context), &where);
    *on_top = w && bo_window_is_on_top(w);
    bool refused = where == BO_ENTERING && !*on_top && is_refused(context);
    return refused ? BO_ELSEWHERE : where;
}

BO_BARE void bo_arch_cancel(void *context)
{
    ucontext_t *uc = context;
    enum bo_where where;
    const struct bo_window_places *w = bo_window_at(counter(context), &where);
    uc->uc_mcontext.pc = bo_window_place(&w->cancel);
}

BO_BARE static bool is_after(const void *context)
{
    enum bo_where where;
    bo_window_at(counter(context), &where);
    return where == BO_AFTER;
}

BO_BARE void bo_arch_woken(void *context, int number)
{
    ucontext_t *uc = context;
    if (is_after(uc) && (long)uc->uc_mcontext.regs[0] == -EINTR)
        uc->uc_mcontext.regs[0] = (uint64_t) - (int64_t)number;
}

uintptr_t bo_arch_sp(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)uc->uc_mcontext.sp;
}

/* The kernel returns from a handler through its own page here: no restorer lies in the frame. */
int bo_arch_handler_between(uintptr_t low, uintptr_t high, uintptr_t restorer)
{
    (void)low;
    (void)high;
    (void)restorer;
    return -1;
}
