/* SPDX-License-Identifier: MIT */
/* The library's clock: CLOCK_MONOTONIC, but it stands still while the process is stopped (rule 33). */
#ifndef BO_STATE_CLOCK_H
#define BO_STATE_CLOCK_H

#include "base/clock.h"

int64_t bo_now(void);
/* From the library's clock to CLOCK_MONOTONIC, for the kernel. */
int64_t bo_to_monotonic(int64_t when);

/* By the ticker, which was to come at `expected` on CLOCK_MONOTONIC. If it comes late by more than a second, it was
 * stopped with the whole process: all deadlines are postponed by that time. It looks at least twice a second while
 * anything is scheduled, to notice. */
void bo_notice_standstill(int64_t expected);
void bo_clock_after_fork(void);

#endif
