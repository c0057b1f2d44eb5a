/* SPDX-License-Identifier: MIT */
/* The kernel's report about a process and its threads. */
#ifndef CLI_PROC_H
#define CLI_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The id under which /proc shows the process's memory and files: the process, or one of its threads if main has ended.
 * 0: the process has ended, or is a zombie. */
pid_t proc_alive(pid_t pid);
/* The name of the process's program; "?" if the process has ended. */
void proc_command(pid_t pid, char *text, size_t size);

/* The ids of the process's threads, to be freed; returns their number. */
size_t proc_threads(pid_t pid, pid_t **tids);
/* The kernel's name of a thread; "" if the thread has ended. */
void proc_thread_name(pid_t pid, pid_t tid, char *name, size_t size);

/* Open exactly the file that the process has mapped: its name may by now be that of another file, or of a device, which
 * must not be opened. -1: the mapped file can't be opened. */
int proc_open_mapped(pid_t pid, const char *name, ino_t inode);

struct activity {
    char state;    /* as in proc(5): R, S, D, T, t, Z; 0: there is no such thread */
    char call[96]; /* the system call that the thread is in, or the kernel function in which it waits; "" */
};
void proc_activity(pid_t pid, pid_t tid, struct activity *now);
/* A state in words; "" for a thread that sleeps: its call describes the state better. */
const char *state_name(char state);
/* The stack pointer of a thread that does not run. 0: it runs, or the right to attach to the process is missing. */
uint64_t proc_stack_pointer(pid_t pid, pid_t tid);

/* Strings of the process, by their addresses. Strings in the program's text are read from its files, which needs only
 * the right to read the process; others need the right to attach to it. */
struct strings;
struct strings *strings_new(pid_t pid);
void strings_free(struct strings *s);
/* Copy the string, always terminated; "?" if it can't be read. `s` may be NULL. */
void strings_get(struct strings *s, uint64_t address, char *text, size_t size);

#endif
