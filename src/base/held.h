/* SPDX-License-Identifier: MIT */
/* A descriptor that the library keeps open. The program may have closed it, or reused its number: each use checks that
 * it still refers to the same file. */
#ifndef BO_BASE_HELD_H
#define BO_BASE_HELD_H

#include <stdbool.h>
#include <sys/stat.h>

struct bo_held {
    int fd; /* -1: none */
    struct stat is;
};

/* Whether it still refers to the file. May change errno. */
bool bo_held_is(const struct bo_held *h);
/* Keep `fd` instead. The kernel gives out the lowest free descriptors, and programs rely on the next number: it is
 * moved up, or to the number that the held one has. */
void bo_held_keep(struct bo_held *h, int fd);
/* Close it, if it is still the same file. */
void bo_held_forget(struct bo_held *h);

#endif
