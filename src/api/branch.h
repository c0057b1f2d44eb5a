/* SPDX-License-Identifier: MIT */
/*
 * Inside a branch: the family (children and what became of them), the workers, the failures.
 *
 *      struct bo_branch  (arena, seen by posters)         struct bo_family  (this process only)
 *        live, deadline, records                  ----->    children, failures, tally
 *
 *      struct bo_child   one bough_add(): function, resource, outcome
 *      struct bo_worker  one OS thread, which runs one child after another
 */
#ifndef BO_API_BRANCH_H
#define BO_API_BRANCH_H

#include <bough/branch.h>
#include <pthread.h>
#include "base/futex.h"
#include "core/arena.h"

/*
 * A child's life:
 *
 *      bough_add --> RUNNING --its function returns--> OK | ERROR | INTERRUPTED --> kept or freed
 *           \--> NOT_STARTED (the branch is marked, no thread, no memory): freed at once
 *
 * Written by the adder before the worker starts, by the worker after; `outcome` and the list links under
 * the family's lock.
 */
struct bo_child {
    struct bo_child *next, **link;
    struct bo_family *family;
    uint64_t branch; /* handles */
    uint64_t id;
    bough_fn *fn;
    bough_resource resource;
    bool taken;
    bool disabled;
    enum bough_outcome outcome;
    int result;
    struct bo_failure *failure; /* said by bough_fail(BOUGH_SELF) */
    uint64_t mask;              /* the adder's signal mask, as pthread_create would hand on */
    char name[BO_NAME];
};

/* What is to be run when a branch ends, after its children. */
struct bo_at_end {
    struct bo_at_end *next;
    void (*fn)(void *);
    void *argument;
};

struct bo_family {
    struct bo_lock lock; /* children, failures, tally, leaving */
    struct bo_child *children, **last_child;
    struct bo_failure *failures, **last_failure;
    unsigned failure_count;
    struct bough_tally tally;
    bool supervisor, collect;
    bool body_failed; /* bough_fail(branch) with an error: counts even under a supervisor */
    bool cut;         /* body or a child left because it was interrupted */
    bool has_leaver;
    pthread_t leaver; /* the last thread that ends for good: whose key destructors we wait for */
    struct bo_at_end *at_end;
};

/* Run fn(argument) when the branch has joined its children. 0; -1 with ENOMEM, ESRCH. [owner] */
int bo_branch_at_end(bough_branch *branch, void (*fn)(void *), void *argument);

/* End all branches that a thread has open, down to (not including) `until`; BO_NONE for all. */
void bo_branch_unwind(struct bo_thread *t, uint32_t until);

/* ---- workers (worker.c) ------------------------------------------------------------------------------- */

struct bo_worker {
    struct bo_worker *next, *prev; /* in the pool */
    struct bo_thread *slot;
    struct bo_child *child;        /* what it runs, or is to run */
    _Atomic uint32_t go;           /* futex: 0 parked, 1 work, 2 end */
    pthread_t thread;
    size_t stack;                  /* its size, in bytes */
    bool orphan;                   /* its child has forked: this is another process now */
    bool fresh;                    /* ends after its child */
    uint64_t mask;                 /* the signal mask it has now */
};

/* A parked worker, or a new one that waits to be started. NULL with EAGAIN or ENOMEM. */
struct bo_worker *bo_worker_get(const struct bough_child_options *options);
/* Back to the pool unused. */
void bo_worker_put(struct bo_worker *w);
void bo_worker_start(struct bo_worker *w, struct bo_child *child);
void bo_workers_after_fork(void);

/* ---- children (child.c) ------------------------------------------------------------------------------- */

/* On the worker: run the child's function, and account for it. `left` is set when it was left by
 * pthread_exit() or pthread_cancel() instead of returning. */
void bo_child_run(struct bo_child *child);
void bo_child_finish(struct bo_child *child, int returned, bool left);
/* After the worker has shed what the child left: tell the branch. `leaver` is the thread if it ends. */
void bo_child_gone(uint64_t branch);
void bo_child_free(struct bo_child *child);

/* ---- failures (failure.c) ------------------------------------------------------------------------------- */

/* One failure with its evidence: the public face first, then what it owns. */
struct bo_failure {
    struct bough_error face;
    struct bo_failure *next; /* in the family's or the child's list, in the order they were said */
    const bough_error **attached;
    size_t room;
    void *trace[32];
    char who[2 * BO_NAME + 8];
    char message[];
};

enum { BO_SUPERVISED_FAILURES = 64 }; /* evidence a supervisor keeps; the tally counts all */

struct bo_failure *bo_failure_new(int code, const char *file, int line, const char *function, const char *message);
void bo_failure_attach(struct bo_failure *to, struct bo_failure *other);
void bo_failure_free(struct bo_failure *f);
/* Hand it to the family: it owns it. */
void bo_family_failed(struct bo_family *family, struct bo_failure *f);

/* ---- endings (ending.c) --------------------------------------------------------------------------------- */

/* Keep how a branch ended as the calling thread's last; takes children and failures out of the family. */
void bo_ending_keep(struct bo_family *family, const char *label, int result, bool interrupted);
/* The calling thread's failure that nobody has read, if there is one: the caller owns it. */
struct bo_failure *bo_ending_unread(void);
/* The failure of the last branch if it has this code, read or not: the caller owns it. */
struct bo_failure *bo_ending_take(int code);
void bo_ending_drop(void);

#endif
