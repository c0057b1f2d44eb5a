/* SPDX-License-Identifier: MIT */
/* Reads memory of this process that may not be mapped: beyond the end of a stack, or a name in an unloaded library. */
#ifndef BO_STATE_SAFE_READ_H
#define BO_STATE_SAFE_READ_H

#include <stddef.h>
#include <stdint.h>

/* Copies up to `size` bytes, at most BO_PEEK; returns how many were readable. */
enum { BO_PEEK = 32 * 1024 };
size_t bo_peek(void *to, uintptr_t from, size_t size);
/* Copies a string, at most size - 1 bytes; "?" if it can't be read. Returns `to`. */
const char *bo_peek_text(char *to, size_t size, const char *from);

#endif
