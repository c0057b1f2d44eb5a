/* SPDX-License-Identifier: MIT */
/* Workers: threads that run children, one after another. */
#ifndef BO_BRANCH_WORKER_H
#define BO_BRANCH_WORKER_H

#include <bough/branch.h>
#include <pthread.h>
#include "state/arena.h"

/*
 *   begun      the child runs, or has run: a cancellation before that was for the previous child
 *   moved      it comes from another thread, which was cancelled
 *   finished   the child's function has returned and is accounted for: a cancellation only ends the thread
 *   orphan     the child has forked, and this is the forked process: there is no branch to return to
 */
struct bo_worker {
    struct bo_worker *next, *prev; /* in the pool */
    struct bo_thread *slot;
    struct bo_child *child;        /* what it runs, or is to run */
    struct bo_branch_state *state; /* the child's state; valid also when the child is freed */
    uint64_t branch;
    _Atomic uint32_t go; /* futex: 0 parked, 1 work, 2 end, 3 parked and asleep */
    pthread_t thread;
    size_t stack; /* its size, in bytes */
    bool fresh;   /* ends after its child */
    bool begun, moved, finished, orphan;
    struct bo_sched_attrs *origin; /* its first adder's */
};

/* A parked worker, or a new one that waits to be started. NULL with EAGAIN or ENOMEM. */
struct bo_worker *bo_worker_get(const struct bough_child_options *options);
/* Return a worker to the pool unused. */
void bo_worker_put(struct bo_worker *w);
void bo_worker_start(struct bo_worker *w, struct bo_child *child);
/* In a forked child. `forked`: what runs the child that has forked; NULL: none has. */
void bo_workers_after_fork(struct bo_worker *forked);

/* In branch/worker_reset.c; all act on the calling worker. */

/* Block the application's signals. From before the end of its child's generation until the next one begins, the thread
 * must run no handler of the application, whose calls would belong to a generation that has ended. Nor may a parked
 * thread take a signal from threads that wait for it. */
void bo_worker_reset_mask(void);
/* False: the thread can't be used again, or its keys' destructors are to run before its branch ends. With `again`, it
 * is to serve another child. */
bool bo_worker_reset_after_child(struct bo_worker *w, bool again);
/* A thread that was cancelled and has reached no cancellation point since then ends here (unwound()). */
void bo_worker_reset_cancellation(void);

/* The name of a worker's thread between two children. */
#define BO_WORKER_NAME "bough-worker"

#endif
