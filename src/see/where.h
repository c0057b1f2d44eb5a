/* SPDX-License-Identifier: MIT */
#ifndef BO_SEE_WHERE_H
#define BO_SEE_WHERE_H
#include "core/arena.h"
size_t bo_where(const struct bo_thread *t, uint32_t generation, char *text, size_t size);
#endif
