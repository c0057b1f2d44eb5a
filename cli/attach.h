/* SPDX-License-Identifier: MIT */
/*
 * Reading the arena of another process: found, checked, copied out slot by slot.
 *
 * It is read by pread() and never mapped: a file that is cut while we look at it makes a call fail instead of a process
 * die. Nothing that is read is believed: indices, sizes and strings are checked here, links by the function that
 * follows them. The process need not cooperate: it may be hung or stopped.
 */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

#include "state/arena.h"

enum attached {
    ATTACHED,
    NO_PROCESS,
    NOT_BOUGH,     /* it has no arena */
    HIDDEN,        /* it has one that is private to it */
    DENIED,        /* the caller may not read it */
    OTHER_VERSION, /* its arena is not as the one that this command was built for */
    BROKEN         /* it has the magic of an arena, but is inconsistent */
};

struct arena {
    pid_t pid;     /* 0: a file, of which nothing more is known than what is in it */
    pid_t own_pid; /* what the process calls itself (pid_ns.h) */
    bool apart;    /* it is in a PID namespace below, and has other ids than here */
    int fd;
    int64_t base; /* where the arena begins in it: 0, or its address in /proc/PID/mem */
    struct bo_header head;
    char why[256]; /* what is wrong, for a person: one sentence that says what to do */
};

/* On success the arena is to be detached; else `why` is filled in. */
enum attached attach_process(struct arena *a, pid_t pid);
enum attached attach_file(struct arena *a, const char *path);
void detach(struct arena *a);

/* How many slots there are to look at: all that were ever used. */
uint32_t arena_threads(const struct arena *a);
uint32_t arena_branches(const struct arena *a);

/* A whole copy of a slot that is live; false: it is not, or not for long enough to be copied. Names are terminated. */
bool arena_thread(const struct arena *a, uint32_t index, struct bo_thread *t);
bool arena_branch(const struct arena *a, uint32_t index, struct bo_branch *b);
/* A record that stands at the target of that generation. The reason is terminated. */
bool arena_record(const struct arena *a, bool branch, uint32_t index, int kind, struct bo_record *r);
/* The same whatever its state is: to see what became of a post. */
bool arena_any_record(const struct arena *a, bool branch, uint32_t index, int kind, struct bo_record *r);
/* The next slot from `index` on that seems to be live; 0: there is none. */
uint32_t arena_next(const struct arena *a, bool branch, uint32_t index);

/* CLOCK_MONOTONIC as the process counts it, which leaves out when it stood still; -1: a file has no present. */
int64_t arena_now(const struct arena *a);

#endif
