/* SPDX-License-Identifier: MIT */
/* The fields that a signal handler reads and changes in the context of the code that it has interrupted, on machines
 * with a window. The registers are in the machine's registers.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <ucontext.h>
#include "arch/stack.h"
#include "arch/window.h"
#include "base/atomic.h"

#if defined(__x86_64__)
#include "arch/x86_64/registers.h"
#elif defined(__aarch64__)
#include "arch/aarch64/registers.h"
#elif defined(__riscv)
#include "arch/riscv64/registers.h"
#endif

BO_BARE static uintptr_t counter(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)BO_COUNTER(uc);
}

BO_BARE enum bo_where bo_arch_where(const void *context, bool *on_top)
{
    const ucontext_t *uc = context;
    enum bo_where where;
    const struct bo_window_places *w = bo_window_at(counter(context), &where);
    *on_top = w && bo_window_is_on_top(w);
    bool refused = where == BO_ENTERING && !*on_top && BO_IN_WAS_SET(uc);
    return refused ? BO_ELSEWHERE : where;
}

BO_BARE void bo_arch_cancel(void *context)
{
    ucontext_t *uc = context;
    enum bo_where where;
    const struct bo_window_places *w = bo_window_at(counter(context), &where);
    BO_COUNTER(uc) = (__typeof__(BO_COUNTER(uc)))bo_window_place(&w->cancel);
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
    if (is_after(uc) && (long)BO_RESULT(uc) == -EINTR)
        BO_RESULT(uc) = (__typeof__(BO_RESULT(uc)))-(long)number;
}

uintptr_t bo_arch_sp(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)BO_STACK_POINTER(uc);
}

uintptr_t bo_arch_pc(const void *context)
{
    return counter(context);
}

#ifndef BO_ARCH_RESTORER
/* Without libc's restorer, a handler returns through the vDSO, and its frame has no restorer's address. */
int bo_arch_handler_between(uintptr_t low, uintptr_t high, uintptr_t restorer)
{
    (void)low;
    (void)high;
    (void)restorer;
    return -1;
}
#endif
