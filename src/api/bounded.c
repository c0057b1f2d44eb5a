/* SPDX-License-Identifier: MIT */
/*
 * A bounded branch, made from the public API: a semaphore with a place for each child, and a resource around the
 * child's resource, whose destructor gives the place back. The destructor runs exactly once, however the child ends,
 * and even if it never began (rule 21), so no place is lost.
 *
 * The bounded branch is freed with its branch, when all threads that could use it have been joined.
 */
#include <errno.h>
#include <stdlib.h>
#include <bough/branch.h>
#include <bough/interrupt.h>
#include <bough/sync.h>
#include "branch/end.h"
#include "branch/branch_state.h"
#include "state/current.h"

struct bough_bounded {
    bough_branch *branch;
    bough_sem places;
};

struct job {
    bough_bounded *bounded;
    bough_fn *fn;
    bough_resource own; /* the resource that the adder handed over */
};

static void destroy_own(bough_resource r)
{
    if (r.destroy)
        r.destroy(r.value);
}

static int run_job(void *value)
{
    struct job *job = value;
    bo_self->child->own = &job->own; /* bough_take() must not take the job, which holds the place */
    return job->fn(job->own.value);
}

/* Destroys the child's resource first, so that the place stays taken until the resource is destroyed. */
static void end_job(void *value)
{
    struct job *job = value;
    destroy_own(job->own);
    bough_sem_release(&job->bounded->places);
    free(job);
}

/* A new job that holds a place; NULL with ECANCELED, ENOMEM, EINVAL. */
static struct job *job_new(bough_bounded *bounded, bough_fn *fn, bough_resource own)
{
    if (!bounded || !fn)
        return errno = EINVAL, NULL;
    struct job *job = malloc(sizeof *job);
    if (!job)
        return errno = ENOMEM, NULL;
    *job = (struct job){bounded, fn, own};
    if (bough_sem_acquire(&bounded->places, 0) == 0)
        return job;
    free(job);
    return errno = ECANCELED, NULL;
}

bough_thread *bough_bounded_add(bough_bounded *bounded, bough_fn *fn, bough_resource resource)
{
    struct job *job = job_new(bounded, fn, resource);
    if (job)
        return bough_add(bounded->branch, run_job, bough_resource_of(job, end_job));
    int error = errno;
    destroy_own(resource);
    errno = error;
    return NULL;
}

bough_bounded *bough_bounded_new(bough_branch *branch, unsigned limit)
{
    if (limit == 0 || branch == bough_root())
        return errno = EINVAL, NULL;
    bough_bounded *bounded = malloc(sizeof *bounded);
    if (!bounded)
        return errno = ENOMEM, NULL;
    *bounded = (bough_bounded){branch, BOUGH_SEM_INIT(limit)};
    if (bo_branch_at_end(branch, free, bounded) == 0)
        return bounded;
    int error = errno;
    free(bounded);
    errno = error;
    return NULL;
}
