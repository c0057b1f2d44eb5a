/* SPDX-License-Identifier: MIT */
/*
 * Ids across PID namespaces. A process in a container has other ids for itself and its threads than /proc here. Its
 * arena contains the ids of its namespace, called `own`; paths, signals and all output use the ids of this namespace,
 * called `here`. The kernel lists a thread's ids from /proc's namespace down to the thread's: `here` first, `own` last.
 */
#ifndef CLI_PID_NS_H
#define CLI_PID_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pid_pair {
    pid_t here, own;
};

/* The threads of a process, with the ids of both namespaces. */
struct pid_map {
    bool apart; /* the process is in a nested namespace: its `own` ids differ from those `here` */
    size_t count;
    struct pid_pair *thread; /* in order of `own` */
};

/* The process's id in its namespace. False: the process has ended. */
bool pid_ns_own(pid_t pid, pid_t *own, bool *apart);
/* Whether /proc has the ids of this process's namespace, which this process needs to send signals. */
bool pid_ns_proc_is_ours(void);
/* A pidfd of the process; -1: there is none, or the id means another process to the kernel than to /proc. */
int pid_ns_pidfd(pid_t pid);

/* Read the present threads. False: out of memory. */
bool pid_map_read(struct pid_map *m, pid_t pid, bool apart);
void pid_map_free(struct pid_map *m);
/* The id `here` of the thread with the id `own`; 0: the process has no such thread. */
pid_t pid_map_here(const struct pid_map *m, pid_t own);
pid_t pid_map_own(const struct pid_map *m, pid_t here);

#endif
