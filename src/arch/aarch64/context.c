/* SPDX-License-Identifier: MIT */
#include "arch/window.h"
#include <ucontext.h>

extern const char bo_window_begin[], bo_window_end[], bo_window_cancel[];

enum bo_where bo_arch_where(const void *context)
{
    const ucontext_t *uc = context;
    const char *pc = (const char *)uc->uc_mcontext.pc;
    if (pc >= bo_window_begin && pc < bo_window_end)
        return BO_BEFORE;
    return pc == bo_window_end ? BO_AFTER : BO_ELSEWHERE;
}

void bo_arch_cancel(void *context)
{
    ucontext_t *uc = context;
    uc->uc_mcontext.pc = (uintptr_t)bo_window_cancel;
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
