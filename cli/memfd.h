/* SPDX-License-Identifier: MIT */
/*
 * Opening another process's file without a name. The name proves nothing: any user may mount a device, a pipe or a file
 * system that never answers over such a path. So the file is checked before it is opened. It has to be a sealed regular
 * file on the kernel's file system for such files, as the library makes it. No open here waits.
 */
#ifndef CLI_MEMFD_H
#define CLI_MEMFD_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MEMFD(name) "/memfd:" name " (deleted)"

enum memfd_seals {
    MEMFD_LENGTH = 1, /* its length cannot change */
    MEMFD_WRITTEN = 2 /* only its creator's mapping, or no process at all, can write to it */
};

/* The process's descriptor of that number, if it is such a file with that name (MEMFD()) and these seals: opened here,
 * with O_RDONLY or O_RDWR. -1: it is not. */
int memfd_open(pid_t pid, const char *number, const char *name, unsigned seals, int mode);
/* The first of the process's descriptors that is such a file. */
int memfd_find(pid_t pid, const char *name, unsigned seals, int mode);
/* Type, number and device of the file of an O_PATH descriptor. Unlike fstat(), this does not query the server of a file
 * system, which may not answer. */
bool look_at_path(int path, struct stat *is);
/* Opens a file by a path that another process has chosen, for reading: only a regular file, and of that number unless it
 * is 0. -1: it is another file, or can't be opened. */
int open_regular(const char *path, ino_t number);

#endif
