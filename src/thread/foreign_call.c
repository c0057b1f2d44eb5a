/* SPDX-License-Identifier: MIT */
#include "thread/foreign_call.h"
#include <sys/syscall.h>
#include "base/futex.h"
#include "base/raw.h"
#include "trace/recorder.h"
#include "wake/frames.h"
#include "wake/wake_send.h"

void bo_foreign_abandon(struct bo_thread *t)
{
    bo_foreign_step(t, BO_NOT_FOREIGN);
}

void bo_call_abandon(struct bo_thread *t)
{
    t->call.libc_wait = NULL;
    t->call.recomputed_on_top = false;
    if (bo_unlikely(bo_load_relaxed(&t->call.recorded)))
        bo_trace_calls_left();
    bo_foreign_abandon(t);
    bo_busy = 0; /* the jump has left the operations of those calls, too */
    bo_signal_fence();
    bo_word_clear(&t->t.word, BO_IN | BO_REPEAT, BO_BY_ABANDON);
    if (bo_load_relaxed(&t->call.below_handler)) /* the wake signal was blocked in a frame that is gone */
        bo_wake_send_unblock();
    if (bo_load_seq(&t->t.word) & BO_UNDER_WAY)
        bo_wake_send_drain(t);
}

/* For a call on another stack (an alternate stack, a coroutine's) this can't be determined. A handler of the ladder may
 * have left the call as well. */
bool bo_foreign_end_abandoned(struct bo_thread *t, uintptr_t frame)
{
    uintptr_t left = t->call.foreign_frame;
    if (!bo_load_relaxed(&t->call.foreign) || left > frame || left < t->stack.low || frame >= t->stack.high)
        return false;
    bo_call_abandon(t);
    return true;
}

/* In a system call's window (IN) only a signal handler can make nested calls. Before and after it, and in a wait inside
 * libc, bough's and libc's code may call a stand-in as well. */
static bool in_a_window(const struct bo_thread *t)
{
    return bo_foreign_calls(t) && (bo_load_relaxed(&t->t.word) & BO_IN) && !t->call.libc_wait;
}

bool bo_foreign_ended(struct bo_thread *t, uintptr_t frame)
{
    if (bo_foreign_end_abandoned(t, frame))
        return true;
    uintptr_t left = t->call.foreign_frame;
    if (frame >= left || !in_a_window(t) || bo_frames_between(frame, left) != 0)
        return false;
    bo_call_abandon(t);
    return true;
}

bool bo_foreign_borrowed(void)
{
    return bo_raw0(SYS_getpid) != bo_load_relaxed(&bo_pid);
}
