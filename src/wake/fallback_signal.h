/* SPDX-License-Identifier: MIT */
/*
 * The fallback signal (rule 13). A thread that blocks all signals blocks the wake signal too, and the kernel offers no
 * way to unblock it from outside. But libc keeps the signals that it reserves out of every mask that a program can set;
 * the first of them (32: helper threads of timer_create and, in glibc, pthread_cancel) is sent as a queued signal,
 * which libc ignores by its si_code, when the ticker sees that a thread blocks the wake signal. Other signals that
 * arrive there go on to the previous handler.
 */
#ifndef BO_WAKE_FALLBACK_SIGNAL_H
#define BO_WAKE_FALLBACK_SIGNAL_H

#include "state/arena.h"

enum { BO_FALLBACK_SIGNAL = 32 };

/* Called by the ticker: install the handler, so that the signal can be sent. Called before each use, because glibc
 * installs its handler at the first pthread_cancel(). */
void bo_fallback_open(void);
bool bo_fallback_is_open(void);
/* Send the fallback signal to the thread, which interrupts its call. False: it could not be sent. [signal] */
bool bo_fallback_send(const struct bo_thread *t);

#endif
