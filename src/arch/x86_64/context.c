/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <ucontext.h>
#include "arch/window.h"
#include "base/atomic.h"

BO_BARE static uintptr_t counter(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

/* In [set, begin) of bo_window(): `lock bts` has found IN set. Its flag lives until `begin`. */
BO_BARE static bool is_refused(const void *context)
{
    enum { CARRY = 1 };
    const ucontext_t *uc = context;
    return uc->uc_mcontext.gregs[REG_EFL] & CARRY;
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
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)bo_window_place(&w->cancel);
}

BO_BARE static bool is_after(const void *context)
{
    enum bo_where where;
    bo_window_at(counter(context), &where);
    return where == BO_AFTER;
}

BO_BARE void bo_arch_woken(void *context, int number)
{
    greg_t *result = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX];
    if (is_after(context) && *result == -EINTR)
        *result = -number;
}

uintptr_t bo_arch_sp(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
}

/*
 * A handler's frame begins with the address of libc's restorer, then comes the ucontext of what it
 * interrupted. A stale copy of that address in a dead variable is told apart by the context behind it,
 * whose stack pointer lies above the frame, and whose code segment is the user's.
 */
__attribute__((no_sanitize("address", "thread"))) int bo_arch_handler_between(uintptr_t low, uintptr_t high,
                                                                              uintptr_t restorer)
{
    for (uintptr_t at = (low + 7) & ~(uintptr_t)7; at + sizeof(uintptr_t) <= high; at += sizeof(uintptr_t)) {
        if (*(const uintptr_t *)at != restorer)
            continue;
        const ucontext_t *uc = (const ucontext_t *)(at + sizeof(uintptr_t));
        if ((uintptr_t)uc->uc_mcontext.gregs[REG_RSP] > at && (uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == 0x33)
            return 1;
    }
    return 0;
}
