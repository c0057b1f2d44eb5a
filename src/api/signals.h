/* SPDX-License-Identifier: MIT */
#ifndef BO_API_SIGNALS_H
#define BO_API_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Wait until only the calling thread lives, at most until `until` on bo_clock(), or until `enough` (NULL: never)
 * returns true; then report the threads that still live. */
void bo_await_others(int64_t until, bool (*enough)(void));
/* Call exit() on the calling thread, main or not. The process ends by the default action of `signo`, or with `status`.
 * Flushing streams takes at most `flush` ns. Returns if another thread exits already. */
void bo_exit_from_here(int signo, int status, int64_t flush);

/* End the process by the default action of `signo`, or with the status 128 + n if that action would not end it. This
 * function and those above are in api/exit.c. */
void bo_exit_by_signal(int signo);
/* Set whether an exit() on any thread, and quick_exit(), end the process by the signal that is pending at the root
 * (BOUGH_SIGNALS_STATUS). 0; -1 with ENOMEM. */
int bo_exit_keep_status(bool keep);
/* From now on, main's exit waits for the threads, if such a signal was posted. */
void bo_exit_await_threads(void);

/* Report the signals that bough_signals() handles and that every thread blocks. Called in ordinary code.
 * (signals_blocked.c) */
void bo_signals_warn(const int *signals, int count, const sigset_t *taken, const char *(*name_of)(int signo));

#endif
