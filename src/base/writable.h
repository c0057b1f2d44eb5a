/* SPDX-License-Identifier: MIT */
/* Does a descriptor take something? Asked before a write that must not block, where the kernel has no write that does
 * not. */
#ifndef BO_BASE_WRITABLE_H
#define BO_BASE_WRITABLE_H

#include <stdint.h>

/* Waits until it does, for `ns` at most (0: does not wait). 1: it does, or a write fails at once; 0: not in time;
 * -EINTR. Works also where no more descriptors may be opened (RLIMIT_NOFILE), where ppoll() fails. [signal] */
long bo_writable(int fd, int64_t ns);

#endif
