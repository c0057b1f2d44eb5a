/* SPDX-License-Identifier: MIT */
/*
 * Errands: a call that blocks inside libc, where no window of ours is, is made by a helper thread, and the caller waits for
 * it interruptibly.
 *
 * There are at most 16 helpers. They are started when they are needed and end when they had nothing to do
 * for two seconds.
 *
 *              a helper takes it                it is back
 *      QUEUED -------------------> RUNNING ------------------> DONE       the caller has the result
 *        |                            |
 *        | the caller is cut          | the caller is cut
 *        v                            v
 *      (freed by the caller)       ORPHANED --- it is back --> (freed by the helper, with the result)
 *
 * All transitions are made under the pool's lock, so that a job has one owner at each moment, and a result
 * that is there wins over a cut (rule 9). It has copies of all arguments: nothing on a cut caller's stack is
 * used again. The 17th caller waits for a helper, as interruptibly as for the result.
 *
 * A helper blocks all signals, holds no lock while it runs one, and bough does not know it. In a forked
 * child there are none: the pool begins anew, and what the parent's jobs own stays unused.
 */
#ifndef BO_CALLS_BLOCKING_POOL_H
#define BO_CALLS_BLOCKING_POOL_H

#include <stdint.h>
#include "base/atomic.h"

/* The head of whatever is run: on the heap, made by the caller. */
struct bo_blocking_job {
    struct bo_blocking_job *next, *before;
    void (*run)(struct bo_blocking_job *job);
    void (*free)(struct bo_blocking_job *job); /* frees it, with its result */
    _Atomic uint32_t state;                    /* changed under the lock; the caller's futex */
    int error;                                 /* errno after it was run */
};

/* 0: it was run, and is the caller's again. -EAGAIN: there is no thread to run it. Else raw, as of a system call that was
 * cut, for bo_failed(). Unless it is 0 the job is freed, or will be. [point] */
long bo_blocking_pool_run(struct bo_blocking_job *job);

#endif
