/* SPDX-License-Identifier: MIT */
/*
 * Opening another process's file without a name. The name proves nothing: any user may mount a device, a pipe or a file
 * system that never answers over such a path. So the file is checked before it is opened. It has to be a sealed regular
 * file on the kernel's file system for memfds, as the library makes it. No open() here blocks.
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

/* Open the file of the process's descriptor `number`, with O_RDONLY or O_RDWR, if it is a memfd with that name
 * (MEMFD()) and these seals. -1: the descriptor is for another file, or the file can't be opened. */
int memfd_open(pid_t pid, const char *number, const char *name, unsigned seals, int mode);
/* Open the file of the first of the process's descriptors that memfd_open() accepts. */
int memfd_find(pid_t pid, const char *name, unsigned seals, int mode);
/* Type, number and device of the file of an O_PATH descriptor. Unlike fstat(), this does not query the server of a file
 * system, which may not answer. */
bool look_at_path(int path, struct stat *is);
/* Open a file for reading by a path that another process has chosen: only a regular file, with that inode number unless
 * `number` is 0. -1: the path is of another file, or can't be opened. */
int open_regular(const char *path, ino_t number);

#endif
