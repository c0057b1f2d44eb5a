/* SPDX-License-Identifier: MIT */
/* The fallback without a window tests the word, then makes the call. A signal between the two is lost, so the wake is
 * repeated until the thread has left the call (wake/ticker.c). The signal's handler has no SA_RESTART, so each signal
 * ends the call. */
#ifndef BO_ARCH_GENERIC_WINDOW_H
#define BO_ARCH_GENERIC_WINDOW_H

long bo_window_plain(const void *due, long nr, long a, long b, long c, long d, long e, long f);

#endif
