/* SPDX-License-Identifier: MIT */
#include "inspect/names.h"
#include <stddef.h>

/* Made by tools/syscalls.py from the headers that this is built with. */
static const char *const syscall_names[] = {
#include "inspect/syscalls.inc"
};

const char *bo_syscall_name(long nr)
{
    return nr >= 0 && (size_t)nr < sizeof syscall_names / sizeof *syscall_names ? syscall_names[nr] : NULL;
}
