/* SPDX-License-Identifier: MIT */
/*
 * Delivery: the wake signal and its handler, the only one the library has.
 *
 * The wake signal is SIGURG (its default action is to do nothing, so that a stray one is harmless), or
 * what BOUGH_SIGNAL in the environment names, installed with SA_RESTART, SA_ONSTACK and all signals
 * blocked in it. What is not ours goes on to the handler that was there before.
 *
 * A thread that blocks it is woken by the second road, second_road.h.
 */
#ifndef BO_CORE_DELIVER_H
#define BO_CORE_DELIVER_H

#include <signal.h>
#include "base/futex.h"
#include "core/self.h"

/* Install the handler. 0; -1 with EINVAL (BOUGH_SIGNAL makes no sense). */
int bo_deliver_init(void);
int bo_wake_signal(void);
/* Send the wake to a thread whose word says SENT. [signal] */
void bo_deliver_send(struct bo_thread *t);
/* Around the step that sets SENT and the signal that it promises. A thread waits for who is in between, if need be, and
 * so never for itself. [signal] */
static inline void bo_send_begin(struct bo_thread *t)
{
    if (t == bo_self)
        return;
    bo_busy_begin();
    bo_add_seq(&t->t.senders, 1);
}
static inline void bo_send_end(struct bo_thread *t)
{
    if (t == bo_self)
        return;
    bo_sub_seq(&t->t.senders, 1);
    bo_busy_end();
}
/* By the ticker, after a wake was not answered: find out why, send it once more, by the second road if the signal
 * is blocked, report. */
void bo_deliver_diagnose(struct bo_thread *t);
/* On the thread, when it has left a call with SENT or RESEND: let the signal in, and wait for it. */
void bo_deliver_settle(struct bo_thread *t);
/* On the thread, in a handler on top of an own blocked call which has to end when the handler returns. */
void bo_deliver_again(struct bo_thread *t);
/* Whether a signal handler's frame lies above `sp` on the calling thread's stack: 1, 0, -1 unknown. */
int bo_deliver_on_handler(uintptr_t sp);
/* Whether this is a signal handler, or may be one. */
bool bo_deliver_in_handler(void);
/* The same between two places of that stack. */
int bo_deliver_between(uintptr_t low, uintptr_t high);
/* The dump's part, NULL before one needs it: the wake signal has come to a thread, perhaps to ask for its stack. On that
 * thread, known or not, with all signals blocked. Returns whether that was so. */
extern bool (*_Atomic bo_on_ask)(void *context);
/* Let the wake signal in on the calling thread. Returns 1 if it was blocked. */
int bo_deliver_open(void);

#endif
