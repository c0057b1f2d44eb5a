/* SPDX-License-Identifier: MIT */
/*
 * The memory of the arena: a file without a name, mapped shared, so that another process of the same user finds it as
 * /proc/PID/fd/N, a link to "/memfd:bough (deleted)". The kernel decides which processes may open it: those that may
 * read this process (ptrace(2), PTRACE_MODE_READ). It is sealed: no other process writes to it or changes its length.
 *
 * Where there can't be one (seccomp, an old kernel, a limit), or where BOUGH_HIDDEN asks for it, the memory is private:
 * everything works, but other processes see nothing. The reason is kept as the mapping's name in /proc/PID/maps.
 *
 * The mailbox (state/mailbox_layout.h) is a second such file, "/memfd:bough-mail (deleted)", for the requests of other
 * processes.
 */
#ifndef BO_STATE_ARENA_MAP_H
#define BO_STATE_ARENA_MAP_H

#include <stddef.h>

/* Memory that reads as zero, shared or hidden, and not handed on to the child of a fork; in that child, with the
 * parent's address as `at`, memory of its own in the same place. Address space only: pages are taken as they are
 * written. NULL: there is none at all. [signal] */
void *bo_map_new(void *at, size_t size);
/*
 * Around a fork() the child is lent the parent's memory, or other mappings would take the place: a handler of
 * pthread_atfork() that runs earlier could map something there, which the child's arena would overwrite. For any number
 * of threads that fork at once; with all signals blocked. bo_map_lent() is for the child, in which the parent's locks
 * have no owner. [signal]
 */
void bo_map_lend(void *p, size_t size);
void bo_map_take_back(void *p, size_t size);
void bo_map_lent(void);
/* A file without a name that can be sealed, of no length yet: its descriptor, or a negative error number. [signal] */
long bo_map_file(const char *name);
/* Shared memory for the mailbox, which others may write to; not handed on to the child of a fork, which makes its own.
 * NULL: there is none, as where the arena is hidden. After bo_map_new(). [signal] */
void *bo_map_mail(size_t size);
/* In a child that gets neither: the parent's are not to be found through it. */
void bo_map_forget(void);
/* Why it can't be seen from outside; NULL: it can. */
const char *bo_map_hidden(void);

#endif
