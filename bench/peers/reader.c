/* SPDX-License-Identifier: MIT */
/* Foreign code: a library that reads, and does not use bough. Built twice: one of the two is interposed. */
#include <stddef.h>
#include <unistd.h>

/* The number of bytes read, one at a time. */
size_t READER(int fd, size_t n);

size_t READER(int fd, size_t n)
{
    char byte;
    size_t done = 0;
    while (done < n && read(fd, &byte, 1) == 1)
        done++;
    return done;
}
