/* SPDX-License-Identifier: MIT */
/* What the hand-written calls share. */
#ifndef BO_CALLS_CALLS_H
#define BO_CALLS_CALLS_H

#include <bough/types.h>
#include "thread/call.h"

/* The size of the kernel's signal mask: sizeof(sigset_t) is libc's, for signals that do not exist. */
enum { BO_MASK_SIZE = 8 };

/* Wait until a descriptor has one of `events`, or an error, at most until `deadline` (0: none).
 * 0, -ETIMEDOUT, or ppoll's error. */
long bo_wait_ready(int fd, short events, bough_time deadline);

#endif
