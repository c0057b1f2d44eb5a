/* SPDX-License-Identifier: MIT */
/* libc itself, among the loaded objects. */
#ifndef BO_INTERPOSE_LIBC_H
#define BO_INTERPOSE_LIBC_H

#include <stdint.h>

/* libc's handle, for dlsym(); NULL: it was not found (a static program). */
void *bo_libc_open(void);
/* Called when all libc functions that have stand-ins were looked up. */
void bo_libc_is_known(void *libc);
/* An address in libc; 0 before bo_libc_is_known(). */
uintptr_t bo_libc_address(void);

#endif
