/* SPDX-License-Identifier: MIT */
#ifndef BO_INSPECT_NAMES_H
#define BO_INSPECT_NAMES_H

/* A system call's name on this machine; NULL for a number that was none when this was built. */
const char *bo_syscall_name(long nr);

#endif
