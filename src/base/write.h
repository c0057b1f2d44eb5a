/* SPDX-License-Identifier: MIT */
#ifndef BO_BASE_WRITE_H
#define BO_BASE_WRITE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the whole text, and repeats a write after EINTR. False with errno: a write has failed. This replaces
 * dprintf(), which does not free its buffer after a failed write. [signal] */
bool bo_write_all(int fd, const char *text, size_t size);

#endif
