/* SPDX-License-Identifier: MIT */
/*
 * Delivery: the wake signal and its handler, the only one the library has.
 *
 * The wake signal is SIGURG (its default action is to do nothing, so that a stray one is harmless), or
 * what BOUGH_SIGNAL in the environment names, installed with SA_RESTART, SA_ONSTACK and all signals
 * blocked in it. Signals that bough did not send go on to the previous handler.
 *
 * A thread that blocks it is woken by the fallback signal, fallback_signal.h.
 */
#ifndef BO_WAKE_WAKE_SIGNAL_H
#define BO_WAKE_WAKE_SIGNAL_H

#include <signal.h>
#include "state/arena.h"

/* Install the handler. 0; -1 with EINVAL (BOUGH_SIGNAL makes no sense). */
int bo_wake_signal_init(void);
/* The dump's part, NULL before one needs it: the wake signal has come to a thread, perhaps to ask for its stack. On
 * that thread, known or not, with all signals blocked. Returns whether that was so. */
extern bool (*_Atomic bo_on_ask)(void *context);
/* Send the wake to a thread whose word counts the caller as a sender. False: it could not be sent. [signal] */
bool bo_wake_signal_send(struct bo_thread *t);
/* If other code has replaced the handler, take the signal back, and report that. */
bool bo_wake_signal_is_ours(void);
void bo_wake_signal_take_back(void);
/* Removes the wake signal from a mask that is handed to the kernel for the time of a call (rule 13).
 * Returns `copy`, or NULL for NULL. */
const sigset_t *bo_open_mask(const sigset_t *mask, sigset_t *copy);

/* Whether every handler of the program restarts calls: then an EINTR that only a timeout brought about is
 * tried again, as the untimed call would have. */
bool bo_handlers_restart(void);

#endif
