/* SPDX-License-Identifier: MIT */
#include "inspect/names.h"
#include <stddef.h>

/* Made by tools/syscalls.py from the headers that this is built with. */
static const char *const names[] = {
#include "inspect/syscalls.inc"
};

const char *bo_syscall_name(long nr)
{
    return nr >= 0 && (size_t)nr < sizeof names / sizeof *names ? names[nr] : NULL;
}
