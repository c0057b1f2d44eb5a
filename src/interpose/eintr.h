/* SPDX-License-Identifier: MIT */
/* Objects that abort on any error but EINTR: an interrupt makes their calls fail with EINTR only. */
#ifndef BO_INTERPOSE_EINTR_H
#define BO_INTERPOSE_EINTR_H

#include <stdbool.h>

/* Reads BOUGH_EINTR_ONLY, once; privileged programs ignore it. */
void bo_eintr_init(void);
/* Does the object at this path, "" for the program, tolerate no error but EINTR? */
bool bo_eintr_only(const char *path);
/* Visits each name of the list, built in or added. */
void bo_eintr_visit(void (*visit)(void *context, const char *name, bool built_in), void *context);

#endif
