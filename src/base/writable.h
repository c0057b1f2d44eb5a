/* SPDX-License-Identifier: MIT */
/* Whether a descriptor can be written to. Used before a write that must not block, if the kernel has no non-blocking
 * write for the file. */
#ifndef BO_BASE_WRITABLE_H
#define BO_BASE_WRITABLE_H

#include <stdint.h>

/* Wait until a write would not block, for at most `ns` (0: do not wait). 1: a write would succeed, or fail immediately;
 * 0: not in time; -EINTR. This works even if no more descriptors may be opened (RLIMIT_NOFILE), so that ppoll() fails.
 * [signal] */
long bo_writable(int fd, int64_t ns);

#endif
