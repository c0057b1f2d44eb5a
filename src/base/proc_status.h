/* SPDX-License-Identifier: MIT */
/*
 * The kernel's report about this process and its threads, read without libc, so that signal handlers can do it too.
 *
 * /proc can be that of another PID namespace, in a container that has not mounted one of its own. Then the folders in
 * /proc/self/task have other names than the threads' ids here, and are found by their contents.
 */
#ifndef BO_BASE_PROC_STATUS_H
#define BO_BASE_PROC_STATUS_H

#include <stddef.h>
#include <sys/types.h>

/* The value of a line of /proc/self/status; "" if there is none. `field` ends with a colon. Returns its length. */
size_t bo_status_of_process(const char *field, char *value, size_t size);
/* The same for a thread. */
size_t bo_status_of_task(pid_t tid, const char *field, char *value, size_t size);
/* A file of a thread's folder, cut to what there is room for; "" if there is none. Returns its length. */
size_t bo_read_task(pid_t tid, const char *file, char *text, size_t size);
/* The id of the thread whose folder has this number; 0: it has ended. */
pid_t bo_tid_of_folder(pid_t number);

#endif
