/* SPDX-License-Identifier: MIT */
/* A descriptor that the library keeps open. The program may have closed it, or reused its number, so each use checks
 * whether the descriptor still refers to the same file. */
#ifndef BO_BASE_HELD_H
#define BO_BASE_HELD_H

#include <stdbool.h>
#include <sys/stat.h>

struct bo_held {
    int fd; /* -1: none */
    struct stat is;
};

/* Whether the descriptor still refers to the file. May change errno. */
bool bo_held_is(const struct bo_held *h);
/* Keep `fd` in place of the present descriptor. The kernel gives out the lowest free descriptors, and programs rely on
 * the next number: so `fd` is moved to a high number, or to the number of the present descriptor. */
void bo_held_keep(struct bo_held *h, int fd);
/* Close the descriptor, if it still refers to the file. */
void bo_held_forget(struct bo_held *h);

#endif
