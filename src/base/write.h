/* SPDX-License-Identifier: MIT */
#ifndef BO_BASE_WRITE_H
#define BO_BASE_WRITE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all of it, also after EINTR. False with errno: a write has failed. In place of dprintf(), which does not free
 * its buffer when that happens. [signal] */
bool bo_write_all(int fd, const char *text, size_t size);

#endif
