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
#include "core/arena.h"

/* Install the handler. 0; -1 with EINVAL (BOUGH_SIGNAL makes no sense). */
int bo_deliver_init(void);
int bo_wake_signal(void);
/* Send the wake signal to a thread of this process, with a sign that it is bough's. 0, or -errno. [signal] */
long bo_deliver_signal(pid_t tid);
/* Send the wake to a thread whose word counts the caller as a sender. False: it could not be sent. [signal] */
bool bo_deliver_send(struct bo_thread *t);
/* What is reported of a thread, once each: true the first time. */
enum bo_told { BO_TOLD_SILENCE = 1, BO_TOLD_SECOND_ROAD = 2, BO_TOLD_REFUSAL = 4, BO_TOLD_LEFT = 8 };
bool bo_deliver_tells(struct bo_thread *t, enum bo_told of);
/* By the ticker, after a wake was not answered: find out why, and report. Returns whether to send it once more. */
bool bo_deliver_diagnose(struct bo_thread *t);
/* On the thread, when it has left a call and something was sent, or is being sent: wait for that, and let the signal in. */
void bo_deliver_settle(struct bo_thread *t);
/* On the thread, in a handler on top of a blocked call of its own which has to end when the handler returns. `anew`: it has not been
 * due until now. A handler that keeps coming must not make an old wake look young. */
void bo_deliver_again(struct bo_thread *t, bool anew);
/* Whether the code that a signal's handler has interrupted ran on the thread's alternate signal stack, on which `at` is not. The
 * stack may lie inside the thread's own, and then addresses alone say nothing. */
bool bo_deliver_was_on_alternate_stack(const void *context, uintptr_t at);
/* Whether the calling thread runs on its alternate signal stack. */
bool bo_deliver_on_alternate_stack(void);
/* Whether a signal handler's frame lies above `sp` on the calling thread's stack: 1, 0, -1 unknown. */
int bo_deliver_on_handler(uintptr_t sp);
/* Whether this is a signal handler, or may be one. */
bool bo_deliver_in_handler_now(void);
/* The same, with the signals that are blocked, or were before bough has blocked more. */
bool bo_deliver_in_handler(uint64_t blocked);
/* The same between two places of that stack. */
int bo_deliver_between(uintptr_t low, uintptr_t high);
/* The same in memory that is known to be a stack's. */
int bo_deliver_frame_in(uintptr_t low, uintptr_t high);
/* The dump's part, NULL before one needs it: the wake signal has come to a thread, perhaps to ask for its stack. On that
 * thread, known or not, with all signals blocked. Returns whether that was so. */
extern bool (*_Atomic bo_on_ask)(void *context);
/* Let the wake signal in on the calling thread. Returns 1 if it was blocked. */
int bo_deliver_open(void);

#endif
