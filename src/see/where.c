/* SPDX-License-Identifier: MIT */
#include "see/where.h"
#include <stdio.h>
size_t bo_where(const struct bo_thread *t, uint32_t generation, char *text, size_t size)
{
    (void)t;
    (void)generation;
    return (size_t)snprintf(text, size, "somewhere");
}
