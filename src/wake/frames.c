/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/frames.h"
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "arch/frame.h"
#include "arch/stack.h"
#include "arch/window.h"
#include "base/raw.h"
#include "state/current.h"

static uintptr_t restorer; /* the address that signal handlers of this process return to */

#if BO_HOOKS && BO_ARCH_WINDOW
BO_TLS bool bo_call_at_hook;
BO_TLS uint64_t bo_blocked_at_hook;
#endif

void bo_frames_set_restorer(uintptr_t at)
{
    restorer = at;
}

/* ---- signal handlers ------------------------------------------------------------------------------- */

bool bo_frames_on_alternate_stack(void)
{
    stack_t alternate;
    return sigaltstack(NULL, &alternate) == 0 && (alternate.ss_flags & SS_ONSTACK);
}

BO_BARE bool bo_frames_was_on_alternate_stack(const void *context, uintptr_t at)
{
    const ucontext_t *uc = context;
    uintptr_t low = (uintptr_t)uc->uc_stack.ss_sp, size = uc->uc_stack.ss_size;
    return !(uc->uc_stack.ss_flags & SS_DISABLE) && bo_arch_sp(uc) - low < size && at - low >= size;
}

int bo_frames_between(uintptr_t low, uintptr_t high)
{
    const struct bo_thread *t = bo_self;
    if (!t || !t->stack.high || low < t->stack.low || high > t->stack.high)
        return -1;
    return bo_frames_frame_in(low, high);
}

int bo_frames_frame_in(uintptr_t low, uintptr_t high)
{
    return restorer ? bo_arch_handler_between(low, high, restorer) : -1;
}

int bo_frames_on_handler(uintptr_t sp)
{
    return bo_frames_on_alternate_stack() ? 1 : bo_self ? bo_frames_between(sp, bo_self->stack.high) : -1;
}

/* A handler runs with a signal blocked, which one system call shows. The frames on the stack distinguish a handler from
 * a thread that always blocks signals. */
bool bo_frames_in_handler(uint64_t blocked)
{
    return blocked && bo_frames_on_handler(BO_FRAME()) != 0;
}

bool bo_frames_in_handler_now(void)
{
    uint64_t blocked = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof blocked);
    return bo_frames_in_handler(blocked);
}

/* ---- calls that were left ---------------------------------------------------------------------------- */

/* Whether both addresses are on the same stack. If the bounds of the thread's stack are unknown: whether all memory
 * between them is mapped. */
BO_BARE static bool on_one_stack(const struct bo_thread *t, uintptr_t low, uintptr_t high)
{
    enum { PAGE = 4096, FAR = 1 << 20 };
    unsigned char pages[FAR / PAGE + 1];
    if (t->stack.high)
        return low >= t->stack.low && high < t->stack.high;
    uintptr_t from = low & ~(uintptr_t)(PAGE - 1);
    return high - low < FAR && bo_raw3(SYS_mincore, (long)from, (long)(high - from), (long)pages) == 0;
}

BO_BARE bool bo_call_was_left(const struct bo_thread *t, uintptr_t sp, bool alternate)
{
    uintptr_t frame = t->call.frame;
    if (alternate || !on_one_stack(t, sp < frame ? sp : frame, sp < frame ? frame : sp))
        return false;
    bool window = !(bo_load_relaxed(&t->t.word) & BO_REPEAT); /* otherwise the call is inside functions of libc */
    return sp >= frame || (window && bo_frames_frame_in(sp, frame) == 0);
}

bool bo_call_was_left_here(const struct bo_thread *t)
{
    return bo_call_was_left(t, BO_FRAME(), bo_frames_on_alternate_stack());
}
