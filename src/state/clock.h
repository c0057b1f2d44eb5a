/* SPDX-License-Identifier: MIT */
/* The library's clock is CLOCK_MONOTONIC without the time for which the process was stopped (rule 33). */
#ifndef BO_STATE_CLOCK_H
#define BO_STATE_CLOCK_H

#include "base/clock.h"

int64_t bo_now(void);
/* Convert a time of the library's clock to CLOCK_MONOTONIC, for the kernel. */
int64_t bo_to_monotonic(int64_t when);

/* Called by the ticker, which should have run at `expected` on CLOCK_MONOTONIC. If it is late by more than a second,
 * the whole process was stopped: all deadlines are postponed by that time. To detect this, the ticker runs at least
 * twice a second while anything is scheduled. Returns the present time. */
int64_t bo_notice_standstill(int64_t expected);
void bo_clock_after_fork(void);

#endif
