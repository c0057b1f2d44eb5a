/* SPDX-License-Identifier: MIT */
#include "thread/retire.h"
#include <limits.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/hook.h"
#include "state/current.h"
#include "state/generation.h"
#include "thread/foreign_call.h"
#include "upcalls.h"
#include "wake/pace.h"
#include "wake/wake_send.h"

static void close_event(struct bo_thread *t)
{
    if (t->event_fd >= 0)
        close(t->event_fd);
    t->event_fd = -1;
}

static void forget_closers(struct bo_thread *t)
{
    if (t->closers)
        bo_ladder_forget_closers(t);
}

/* If a thread ends inside a call, a signal handler that interrupted the call has ended it, or a cancellation. */
void bo_retire(struct bo_thread *t, enum bough_post_status how)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (t == bo_self && (w & BO_IN))
        bo_call_abandon(t);
    else if (t == bo_self && (w & BO_UNDER_WAY))
        bo_wake_send_drain(t);
    forget_closers(t);
    bo_generation_end(&t->t, how);
    close_event(t);
    bo_pace_done(t);
    BO_HOOK(retired);
}

void bo_retire_lost(struct bo_thread *t)
{
    bo_generation_end(&t->t, BOUGH_POST_LOST);
    close_event(t);
    bo_pace_done(t);
}

void bo_wake_joiners(struct bo_thread *t)
{
    if (bo_load_seq(&t->t.join_waiters))
        bo_futex_wake(bo_generation_of(t), INT_MAX);
}
