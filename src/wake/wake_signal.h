/* SPDX-License-Identifier: MIT */
/*
 * Delivery: the wake signal and its handler, the only one the library has.
 *
 * The wake signal is SIGURG (its default action is to do nothing, so that a stray one is harmless), or the signal that
 * the environment has in BOUGH_SIGNAL. Its handler is installed with SA_RESTART and SA_ONSTACK, and blocks all signals.
 * Signals that bough did not send are forwarded to the previous handler.
 *
 * A thread that blocks the wake signal is woken by the fallback signal, fallback_signal.h.
 */
#ifndef BO_WAKE_WAKE_SIGNAL_H
#define BO_WAKE_WAKE_SIGNAL_H

#include <signal.h>
#include "state/arena.h"

/* Install the handler. 0; -1 if sigaction() fails. */
int bo_wake_signal_init(void);
/* Set by the first dump; NULL before. Called on any thread that has received the wake signal, adopted or not, with all
 * signals blocked. Returns whether the signal was a request for the thread's stack. */
extern bool (*_Atomic bo_on_ask)(void *context);
/* Send the wake to a thread whose word counts the caller as a sender. False: it could not be sent. [signal] */
bool bo_wake_signal_send(struct bo_thread *t);
/* Whether the handler is still installed; if other code has replaced it, install it again, with a report. */
bool bo_wake_signal_is_installed(void);
void bo_wake_signal_take_back(void);
/* Removes the wake signal from a mask that the kernel installs during a call (rule 13). Returns `copy`, or NULL for
 * NULL. */
const sigset_t *bo_open_mask(const sigset_t *mask, sigset_t *copy);

/* Whether every handler of the program restarts calls. Then a call that failed with EINTR only because it has a timeout
 * is repeated, as the untimed call would have been. */
bool bo_handlers_restart(void);

#endif
