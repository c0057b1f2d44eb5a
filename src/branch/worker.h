/* SPDX-License-Identifier: MIT */
/* Workers: threads that run children, one after another. */
#ifndef BO_BRANCH_WORKER_H
#define BO_BRANCH_WORKER_H

#include <bough/branch.h>
#include <pthread.h>
#include "state/arena.h"

/*
 *   begun      the child runs, or has run: a cancellation before was for the previous child
 *   moved      the worker comes from another thread, which was cancelled
 *   finished   the child's function has returned and is accounted for: a cancellation now only ends the thread
 *   orphan     the child has forked, and this is the forked process: there is no branch to return to
 */
struct bo_worker {
    struct bo_worker *next, *prev; /* in the pool */
    struct bo_thread *slot;
    struct bo_child *child;        /* the child that the worker runs, or is to run */
    struct bo_branch_state *state; /* the child's state; valid also when the child is freed */
    uint64_t branch;
    _Atomic uint32_t go; /* futex: 0 parked, 1 work, 2 end, 3 parked and asleep */
    pthread_t thread;
    size_t stack; /* the stack's size, in bytes */
    bool fresh;   /* the thread ends after its child */
    bool begun, moved, finished, orphan;
    struct bo_sched_attrs *origin; /* the attributes of its first adder */
};

/* A parked worker, or a new worker that waits to be started. NULL with EAGAIN or ENOMEM. */
struct bo_worker *bo_worker_get(const struct bough_child_options *options);
/* Return a worker to the pool unused. */
void bo_worker_put(struct bo_worker *w);
void bo_worker_start(struct bo_worker *w, struct bo_child *child);
/* Called in a forked child. `forked`: the worker whose child has forked; NULL: the forking thread was no child. */
void bo_workers_after_fork(struct bo_worker *forked);

/* ---- branch/worker_reset.c: functions for the calling worker */

/* Block the application's signals. From before the end of one child's generation until the start of the next, the
 * thread must run no handler of the application, whose calls would belong to a generation that has ended. A parked
 * thread also must not take a signal that other threads wait for. */
void bo_worker_reset_mask(void);
/* `again`: the thread is to run another child. False: the thread can't be used again, or its keys' destructors have to
 * run before its branch ends. */
bool bo_worker_reset_after_child(struct bo_worker *w, bool again);
/* If the thread was cancelled and has reached no cancellation point since then, it ends here (unwound()). */
void bo_worker_reset_cancellation(void);

/* The name of a worker's thread between two children. */
#define BO_WORKER_NAME "bough-worker"

#endif
