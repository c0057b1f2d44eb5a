/* SPDX-License-Identifier: MIT */
/* System calls that do not change errno and are no cancellation points. They return the raw result, or -errno. */
#ifndef BO_BASE_RAW_H
#define BO_BASE_RAW_H

#include <stddef.h>

long bo_raw6(long nr, long a, long b, long c, long d, long e, long f);

#define bo_raw0(nr) bo_raw6((nr), 0, 0, 0, 0, 0, 0)
#define bo_raw1(nr, a) bo_raw6((nr), (a), 0, 0, 0, 0, 0)
#define bo_raw2(nr, a, b) bo_raw6((nr), (a), (b), 0, 0, 0, 0)
#define bo_raw3(nr, a, b, c) bo_raw6((nr), (a), (b), (c), 0, 0, 0)
#define bo_raw4(nr, a, b, c, d) bo_raw6((nr), (a), (b), (c), (d), 0, 0)

/* Send a signal to the calling thread. If a sandbox refuses tgkill(), send it to the process. 0 or -errno. [signal] */
long bo_raise(int signo);

/* The text of a file, at most size - 1 bytes; "" if it can't be read. This does not use stdio, because a frozen thread
 * may hold malloc()'s lock. Returns the text's length. [signal] */
size_t bo_read_file(const char *path, char *text, size_t size);

#endif
