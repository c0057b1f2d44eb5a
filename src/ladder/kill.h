/* SPDX-License-Identifier: MIT */
/* Rung 6, with the kernel's timer as its fallback: the process ends at the cap, even if all threads hang (rule 39). */
#ifndef BO_LADDER_KILL_H
#define BO_LADDER_KILL_H

#include <stdbool.h>
#include <stdint.h>

/* Create the timer; idempotent, not for signal handlers. If that fails (too many signals queued: RLIMIT_SIGPENDING),
 * only the warden enforces the cap, which is reported. */
void bo_kill_prepare(void);
/* Kill the process at `when` (CLOCK_MONOTONIC), unless the timer is set again. Only makes the time earlier. [signal] */
void bo_kill_by(int64_t when);
/* Set another time, or BO_FOREVER for none. Called by the ticker. False: a post was made since bo_kill_seen() returned
 * `seen`, and nothing was changed. The ticker loads `seen` before it examines the records on its list. */
bool bo_kill_set(int64_t when, uint64_t seen);
uint64_t bo_kill_seen(void);
/* Write the last words, on a helper, complete by `until` (CLOCK_MONOTONIC). */
void bo_kill_dump(const char *why, int64_t until);
/* Kill the process now. [signal] */
void bo_kill_now(void) __attribute__((noreturn));
void bo_kill_after_fork(void);

#endif
