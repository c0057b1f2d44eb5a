/* SPDX-License-Identifier: MIT */
/*
 * The memory of the arena: a file without a name, mapped shared, so that another process of the same user finds it as
 * /proc/PID/fd/N, a link to "/memfd:bough (deleted)". The kernel decides which processes may open it: those that may
 * read this process (ptrace(2), PTRACE_MODE_READ). The file is sealed: no other process writes to it or resizes it.
 *
 * If the file can't be made (seccomp, an old kernel, a limit), or if BOUGH_HIDDEN is set, the memory is private: the
 * library works, but other processes see nothing. The reason is kept as the mapping's name in /proc/PID/maps.
 *
 * The mailbox (state/mailbox_layout.h) is a second such file, "/memfd:bough-mail (deleted)", for the requests of other
 * processes.
 */
#ifndef BO_STATE_ARENA_MAP_H
#define BO_STATE_ARENA_MAP_H

#include <stddef.h>

/* Map zeroed memory, shared or hidden, which a forked child does not inherit. In the child, `at` is the address in the
 * parent, where the child gets new memory. Pages are allocated when they are first written. NULL: out of memory.
 * [signal] */
void *bo_map_new(void *at, size_t size);
/*
 * During a fork() the child inherits the parent's memory, to keep the addresses in use: otherwise a fork handler that
 * runs before bough's could map memory there, which the child's arena would overwrite. Any number of threads may fork
 * at once; all signals are blocked. bo_map_lent() is for the child, in which the parent's locks have no owner. [signal]
 */
void bo_map_lend(void *p, size_t size);
void bo_map_take_back(void *p, size_t size);
void bo_map_lent(void);
/* Create an empty file without a name that can be sealed. Returns its descriptor, or a negative error number.
 * [signal] */
long bo_map_file(const char *name);
/* Map shared memory for the mailbox, which other processes may write to. A forked child does not inherit it, and
 * creates another. NULL: there is no mailbox, for example because the arena is hidden. Called after bo_map_new().
 * [signal] */
void *bo_map_mail(size_t size);
/* Called in a child that gets neither mapping: close the descriptors, so that the parent's files can't be found by way
 * of the child. */
void bo_map_forget(void);
/* Why the arena is hidden from other processes; NULL: it is visible. */
const char *bo_map_hidden(void);

#endif
