/* SPDX-License-Identifier: MIT */
/*
 * The fallback signal (rule 13). A thread that blocks all signals blocks the wake signal too, and the kernel offers no
 * way to unblock it from outside. But libc keeps the signals that it reserves out of every mask that a program can set.
 * When the ticker sees that a thread blocks the wake signal, it sends the first of these signals (32, which libc uses
 * for timer_create()'s helper threads and glibc for pthread_cancel()) as a queued signal, which libc ignores because of
 * its si_code. All other signals of that number are forwarded to the previous handler.
 */
#ifndef BO_WAKE_FALLBACK_SIGNAL_H
#define BO_WAKE_FALLBACK_SIGNAL_H

#include "state/arena.h"

enum { BO_FALLBACK_SIGNAL = 32 };

/* Called by the ticker before each use: install the handler, so that the signal can be sent. The first
 * pthread_cancel() of glibc replaces it. */
void bo_fallback_open(void);
bool bo_fallback_is_open(void);
/* Send the fallback signal to the thread, which interrupts its call. False: it could not be sent. [signal] */
bool bo_fallback_send(const struct bo_thread *t);

#endif
