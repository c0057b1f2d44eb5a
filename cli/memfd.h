/* SPDX-License-Identifier: MIT */
/*
 * Opening what another process calls its file without a name. The name proves nothing: any user may bind a device, a
 * pipe or a file system that never answers over such a path. So it is looked at before it is opened, and has to be what
 * the library makes: a regular file of the kernel's own file system for such files, sealed. No open here waits.
 */
#ifndef CLI_MEMFD_H
#define CLI_MEMFD_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MEMFD(name) "/memfd:" name " (deleted)"

enum memfd_seals {
    MEMFD_LENGTH = 1, /* its length cannot change */
    MEMFD_WRITTEN = 2 /* only its maker's mapping, or no process at all, writes to it */
};

/* The process's descriptor of that number, if it is such a file with that name (MEMFD()) and these seals: opened here,
 * with O_RDONLY or O_RDWR. -1: it is not. */
int memfd_open(pid_t pid, const char *number, const char *name, unsigned seals, int mode);
/* The first of the process's descriptors that is one. */
int memfd_find(pid_t pid, const char *name, unsigned seals, int mode);
/* Type, number and device of what an O_PATH descriptor stands for. Asks no server of a file system, as fstat() would:
 * it may not answer. */
bool look_at_path(int path, struct stat *is);

#endif
