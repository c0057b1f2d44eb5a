/* SPDX-License-Identifier: MIT */
/* Objects whose calls never fail with another error than EINTR because of an interrupt: they abort on any other. */
#ifndef BO_INTERPOSE_EINTR_H
#define BO_INTERPOSE_EINTR_H

#include <stdbool.h>

/* Reads BOUGH_EINTR_ONLY, once; privileged programs ignore it. */
void bo_eintr_init(void);
/* Does the object at this path, "" for the program, take no error but EINTR? */
bool bo_eintr_only(const char *path);
/* Each name of the list, built in or added. */
void bo_eintr_visit(void (*visit)(void *context, const char *name, bool built_in), void *context);

#endif
