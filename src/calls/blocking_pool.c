/* SPDX-License-Identifier: MIT */
#include "calls/blocking_pool.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include "state/library_threads.h"
#include "state/undo.h"
#include "sync/sync.h"

enum { HELPERS = 16, IDLE_SECONDS = 2 };

enum state { QUEUED, RUNNING, DONE, ORPHANED };

static struct blocking_pool {
    struct bo_lock lock;
    struct bo_blocking_job *first, *last;
    unsigned queued, helpers, idle;
    _Atomic uint32_t bell; /* idle helpers sleep on it */
} blocking_pool;

/* ---- the queue, under the lock ------------------------------------------------------------------------ */

static void append_job(struct bo_blocking_job *e)
{
    e->before = blocking_pool.last;
    *(blocking_pool.last ? &blocking_pool.last->next : &blocking_pool.first) = e;
    blocking_pool.last = e;
    blocking_pool.queued++;
}

static void take_job_out(struct bo_blocking_job *e)
{
    *(e->before ? &e->before->next : &blocking_pool.first) = e->next;
    *(e->next ? &e->next->before : &blocking_pool.last) = e->before;
    blocking_pool.queued--;
}

/* ---- the helper ------------------------------------------------------------------------------------ */

/* This function and the next one are called with the lock held, and release it while they run or wait. */
static void run_helper_job(struct bo_blocking_job *e)
{
    take_job_out(e);
    bo_store_relaxed(&e->state, RUNNING);
    bo_unlock(&blocking_pool.lock);
    e->run(e);
    e->error = errno;
    bo_lock(&blocking_pool.lock);
    if (bo_load_relaxed(&e->state) == ORPHANED) {
        e->free(e);
    } else {
        bo_store_release(&e->state, DONE); /* from here on the caller owns the job, and may have freed it */
        bo_futex_wake(&e->state, 1);
    }
}

/* Returns the first job, or NULL if none came within the idle time. */
static struct bo_blocking_job *await_job(void)
{
    int64_t until = bo_clock() + BO_SEC(IDLE_SECONDS);
    blocking_pool.idle++;
    while (!blocking_pool.first && bo_clock() < until) {
        uint32_t bell = bo_load_relaxed(&blocking_pool.bell);
        bo_unlock(&blocking_pool.lock);
        bo_futex_sleep(&blocking_pool.bell, bell, until);
        bo_lock(&blocking_pool.lock);
    }
    blocking_pool.idle--;
    return blocking_pool.first;
}

static void *helper_main(void *unused)
{
    prctl(PR_SET_NAME, "bough-resolver");
    bo_library_thread_begin();
    bo_lock(&blocking_pool.lock);
    for (struct bo_blocking_job *e; (e = await_job()) != NULL;)
        run_helper_job(e);
    blocking_pool.helpers--;
    bo_unlock(&blocking_pool.lock);
    bo_library_thread_end();
    return unused;
}

static bool start_helper(void)
{
    pthread_t thread;
    sigset_t all, mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    bool started = pthread_create(&thread, NULL, helper_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (started)
        pthread_detach(thread);
    return started;
}

static void forget_helpers(void)
{
    memset(&blocking_pool, 0, sizeof blocking_pool);
}

__attribute__((constructor)) static void prepare_fork(void)
{
    pthread_atfork(NULL, NULL, forget_helpers);
}

/* ---- the caller ------------------------------------------------------------------------------------- */

/* Called with the lock held. If there are more queued jobs than idle helpers, starts a helper, up to the limit. Returns
 * false if there is no thread to run the job. */
static bool call_helper(void)
{
    if (blocking_pool.queued > blocking_pool.idle && blocking_pool.helpers < HELPERS && start_helper())
        blocking_pool.helpers++;
    bo_add_relaxed(&blocking_pool.bell, 1);
    bo_futex_wake(&blocking_pool.bell, 1);
    return blocking_pool.helpers > 0;
}

static bool submit(struct bo_blocking_job *e)
{
    bo_lock(&blocking_pool.lock);
    append_job(e);
    bool provided = call_helper();
    if (!provided)
        take_job_out(e);
    bo_unlock(&blocking_pool.lock);
    return provided;
}

/* Called when the caller was interrupted. Returns 0 if the job has a result nevertheless; otherwise the caller no
 * longer owns the job. */
static long abandon_job(struct bo_blocking_job *e, long reason)
{
    bo_lock(&blocking_pool.lock);
    uint32_t state = bo_load_relaxed(&e->state);
    if (state == QUEUED)
        take_job_out(e);
    if (state == RUNNING)
        bo_store_relaxed(&e->state, ORPHANED);
    bo_unlock(&blocking_pool.lock);
    if (state == QUEUED)
        e->free(e);
    return state == DONE ? 0 : reason;
}

struct waiting {
    struct bo_undo undo;
    struct bo_blocking_job *job;
};

static void left(struct bo_undo *undo)
{
    struct bo_blocking_job *e = ((struct waiting *)undo)->job;
    if (abandon_job(e, -BO_ECUT) == 0)
        e->free(e);
}

static long await_result(struct bo_blocking_job *e)
{
    struct waiting w = {.undo = {.run = left}, .job = e};
    long r = 0;
    for (uint32_t state; (state = bo_load_acquire(&e->state)) != DONE;) {
        if (r != 0)
            return abandon_job(e, r);
        bo_undo_push(&w.undo);
        r = bo_sync_wait(&e->state, state, 0);
        bo_undo_pop(&w.undo);
    }
    return 0;
}

long bo_blocking_pool_run(struct bo_blocking_job *e)
{
    if (submit(e))
        return await_result(e);
    e->free(e);
    return -EAGAIN;
}
