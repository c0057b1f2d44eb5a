/* SPDX-License-Identifier: MIT */
/*
 * Reading the arena of another process: find it, check it, and copy it slot by slot.
 *
 * The arena is read with pread() and never mapped: if a file is truncated meanwhile, a call fails instead of this
 * process. Nothing that is read is trusted: indices, sizes and strings are checked here, links by the function that
 * follows them. The other process need not cooperate: it may be hung or stopped.
 */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

#include "state/arena.h"

enum attached {
    ATTACHED,
    NO_PROCESS,
    NOT_BOUGH,     /* the process has no arena */
    HIDDEN,        /* the process has a private arena */
    DENIED,        /* the caller may not read the arena */
    OTHER_VERSION, /* the arena's version differs from the one that this command was built for */
    BROKEN         /* the arena has the magic number, but is inconsistent */
};

struct arena {
    pid_t pid;     /* 0: a file, without a process */
    pid_t own_pid; /* the process's id in its PID namespace (pid_ns.h) */
    bool apart;    /* the process is in a nested PID namespace, and has other ids there */
    int fd;
    int64_t base; /* where the arena begins in `fd`: 0, or its address in /proc/PID/mem */
    struct bo_header head;
    char why[256]; /* the error message: one sentence, with the user's next step */
};

/* After success the caller detaches the arena; after a failure `why` is filled in. */
enum attached attach_process(struct arena *a, pid_t pid);
enum attached attach_file(struct arena *a, const char *path);
void detach(struct arena *a);

/* The number of slots to examine: all that were ever used. */
uint32_t arena_threads(const struct arena *a);
uint32_t arena_branches(const struct arena *a);

/* Copy a live slot consistently; false: it is not live, or changes too often to be copied. Names are terminated. */
bool arena_thread(const struct arena *a, uint32_t index, struct bo_thread *t);
bool arena_branch(const struct arena *a, uint32_t index, struct bo_branch *b);
/* Copy a pending record of the target of that generation. The reason is terminated. */
bool arena_record(const struct arena *a, bool branch, uint32_t index, int kind, struct bo_record *r);
/* Copy a record in any state, to see the state of a post. */
bool arena_any_record(const struct arena *a, bool branch, uint32_t index, int kind, struct bo_record *r);
/* The first slot from `index` on that seems to be live; 0: there is none. */
uint32_t arena_next(const struct arena *a, bool branch, uint32_t index);

/* The process's clock: CLOCK_MONOTONIC without the times for which it was stopped; -1: a file has no present time. */
int64_t arena_now(const struct arena *a);

#endif
