/* SPDX-License-Identifier: MIT */
/*
 * Ids across PID namespaces. A process in a container calls itself and its threads by other ids than /proc does for us:
 * in its arena are its *own* ids, in paths, signals and all that is shown are those of *here*. The kernel lists a
 * thread's ids from /proc's namespace down to its own one: the first is the one here, the last is its own.
 */
#ifndef CLI_PID_NS_H
#define CLI_PID_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pid_pair {
    pid_t here, own;
};

/* The threads of a process, and what it calls them. */
struct pid_map {
    bool apart; /* it is in a namespace below: its ids are others than here */
    size_t count;
    struct pid_pair *thread; /* in order of their own ids */
};

/* What a process calls itself. False: it is gone. */
bool pid_ns_own(pid_t pid, pid_t *own, bool *apart);
/* Whether /proc has the ids of this process's namespace, by which alone it can send signals. */
bool pid_ns_proc_is_ours(void);

/* Of the threads that there are now. False: out of memory. */
bool pid_map_read(struct pid_map *m, pid_t pid, bool apart);
void pid_map_free(struct pid_map *m);
/* 0: it has no such thread. */
pid_t pid_map_here(const struct pid_map *m, pid_t own);
pid_t pid_map_own(const struct pid_map *m, pid_t here);

#endif
