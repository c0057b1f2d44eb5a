/* SPDX-License-Identifier: MIT */
/* libc itself, among the loaded objects. */
#ifndef BO_INTERPOSE_LIBC_H
#define BO_INTERPOSE_LIBC_H

#include <stdint.h>

/* Its handle, for dlsym(); NULL: it can't be found (a static program). */
void *bo_libc_open(void);
/* All of its functions that are stood in for were looked up. */
void bo_libc_is_known(void);
/* An address in libc; 0 before that. */
uintptr_t bo_libc_address(void);

#endif
