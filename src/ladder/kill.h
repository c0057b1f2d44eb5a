/* SPDX-License-Identifier: MIT */
/* Rung 6, and the kernel's timer behind it: the process ends at the cap, whatever hangs in it (rule 39). */
#ifndef BO_LADDER_KILL_H
#define BO_LADDER_KILL_H

#include <stdbool.h>
#include <stdint.h>

/* Make the timer, in ordinary code; idempotent. Without one (too many signals queued: RLIMIT_SIGPENDING) only the
 * warden keeps the cap, which is reported. */
void bo_kill_prepare(void);
/* The process ends by `when` (CLOCK_MONOTONIC) at the latest, unless the timer is set again. Only to an earlier time.
 * [signal] */
void bo_kill_by(int64_t when);
/* Another time, or BO_FOREVER for none, by the ticker. False: a poster has come since bo_kill_seen() has returned
 * `seen`, and nothing was changed. The ticker loads it before it looks at the records on its list. */
bool bo_kill_set(int64_t when, uint64_t seen);
uint64_t bo_kill_seen(void);
/* Write the last words, on a helper. */
void bo_kill_dump(const char *why);
/* The end, now. [signal] */
void bo_kill_now(void) __attribute__((noreturn));
void bo_kill_after_fork(void);

#endif
