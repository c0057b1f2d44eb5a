/* SPDX-License-Identifier: MIT */
/*
 * The blocking pool: a call that blocks inside libc, where the library has no window, is made by a helper thread, and
 * the caller waits for it interruptibly.
 *
 * There are at most 16 helpers. A helper is started when it is needed, and ends after two idle seconds.
 *
 *              a helper takes it                the call returns
 *      QUEUED -------------------> RUNNING ------------------> DONE       the caller has the result
 *        |                            |
 *        | interrupted                | the caller is interrupted
 *        v                            v
 *      (freed by the caller)       ORPHANED --- the call returns --> (freed by the helper, with the result)
 *
 * All transitions are made under the pool's lock, so that a job has one owner at each moment, and a finished result
 * wins over an interrupt (rule 9). A job has copies of all arguments, because the stack frame of an interrupted caller
 * is gone. The 17th caller waits for a helper, and an interrupt ends that wait, too.
 *
 * A helper blocks all signals, holds no lock while it runs a job, and is not part of the tree. A forked child has no
 * helpers: its pool starts empty, and the memory of the parent's jobs stays unused.
 */
#ifndef BO_CALLS_BLOCKING_POOL_H
#define BO_CALLS_BLOCKING_POOL_H

#include <stdint.h>
#include "base/atomic.h"

/* The head of a job: on the heap, allocated by the caller. */
struct bo_blocking_job {
    struct bo_blocking_job *next, *before;
    void (*run)(struct bo_blocking_job *job);
    void (*free)(struct bo_blocking_job *job); /* frees the job, with its result */
    _Atomic uint32_t state;                    /* changed under the lock; the caller's futex */
    int error;                                 /* errno after the job was run */
};

/* Run a job. 0: the job has run, and the caller owns it again. -EAGAIN: there is no thread to run it. Otherwise the raw
 * result of an interrupted system call, for bo_failed(). Unless the result is 0, the pool frees the job. [point] */
long bo_blocking_pool_run(struct bo_blocking_job *job);

#endif
