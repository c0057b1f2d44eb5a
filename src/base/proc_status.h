/* SPDX-License-Identifier: MIT */
/*
 * The kernel's report about this process and its threads, read without libc, so that signal handlers can read it too.
 *
 * In a container that has not mounted its /proc, /proc is that of another PID namespace. Then the names of the folders
 * in /proc/self/task are not the threads' ids here, and the folders are found by their contents.
 */
#ifndef BO_BASE_PROC_STATUS_H
#define BO_BASE_PROC_STATUS_H

#include <stddef.h>
#include <sys/types.h>

/* The value of a line of /proc/self/status; "" if there is no such line. `field` ends with a colon. Returns the value's
 * length. */
size_t bo_status_of_process(const char *field, char *value, size_t size);
/* The same for a thread. */
size_t bo_status_of_task(pid_t tid, const char *field, char *value, size_t size);
/* The text of a file in a thread's folder, truncated to `size`; "" if there is no such file. Returns its length. */
size_t bo_read_task(pid_t tid, const char *file, char *text, size_t size);
/* The id of the thread whose folder has this number; 0: the thread has ended. */
pid_t bo_tid_of_folder(pid_t number);

#endif
