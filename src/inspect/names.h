/* SPDX-License-Identifier: MIT */
#ifndef BO_INSPECT_NAMES_H
#define BO_INSPECT_NAMES_H

/* A system call's name on this machine; NULL: the number was not a system call's when this was built. */
const char *bo_syscall_name(long nr);

#endif
