/* SPDX-License-Identifier: MIT */
/* Can a descriptor be written to? Used before a write that must not block, where the kernel has no non-blocking
 * write. */
#ifndef BO_BASE_WRITABLE_H
#define BO_BASE_WRITABLE_H

#include <stdint.h>

/* Wait until it can, for `ns` at most (0: do not wait). 1: it can, or a write would fail immediately; 0: not in time;
 * -EINTR. This works also where no more descriptors may be opened (RLIMIT_NOFILE), and ppoll() fails. [signal] */
long bo_writable(int fd, int64_t ns);

#endif
