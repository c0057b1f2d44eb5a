/* SPDX-License-Identifier: MIT */
#include "ladder/helper_threads.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include "base/atomic.h"
#include "base/futex.h"
#include "state/library_threads.h"

enum { JOBS = 32, MOST = 12, READY_AT_ONCE = 4 };
enum state { FREE, FILLING, READY, RUNNING };

static struct job {
    _Atomic uint32_t state;
    void (*fn)(void *);
    void *argument;
} jobs[JOBS];

static _Atomic uint32_t posted; /* a futex word: counts jobs */
static _Atomic uint32_t helpers_alive, helpers_idle;
static struct bo_lock helper_starting;

static bool run_one(void);

static void *help(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-helper");
    bo_library_thread_begin();
    for (;;) {
        uint32_t seen = bo_load_seq(&posted);
        if (!run_one())
            bo_futex_sleep(&posted, seen, BO_FOREVER);
    }
    return NULL;
}

/* Helpers block all signals, which belong to the application. */
static int start_one(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, old;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bo_add_seq(&helpers_alive, 1);
    bo_add_seq(&helpers_idle, 1);
    int error = pthread_create(&thread, &attributes, help, NULL);
    if (error) {
        bo_sub_seq(&helpers_alive, 1);
        bo_sub_seq(&helpers_idle, 1);
    } else {
        pthread_setname_np(thread, "bough-helper"); /* by the creator, so that the thread has its name before it runs */
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static bool take_job(struct job *job)
{
    uint32_t state = READY;
    return bo_cas_seq(&job->state, &state, RUNNING);
}

/* The last idle helper starts the next one before it runs its job, which can hang. Starting a thread allocates memory,
 * and a frozen thread may hold malloc's lock: so there are spare helpers. */
static bool run_one(void)
{
    for (int i = 0; i < JOBS; i++) {
        struct job *job = &jobs[i];
        if (!take_job(job))
            continue;
        if (bo_sub_seq(&helpers_idle, 1) == 1 && bo_load_seq(&helpers_alive) < MOST)
            start_one();
        bo_library_thread_end(); /* the job may run application code */
        job->fn(job->argument);
        bo_library_thread_begin();
        bo_add_seq(&helpers_idle, 1);
        bo_store_seq(&job->state, FREE);
        return true;
    }
    return false;
}

bool bo_help_later(void (*fn)(void *), void *argument)
{
    for (int i = 0; i < JOBS; i++) {
        uint32_t state = FREE;
        if (!bo_cas_seq(&jobs[i].state, &state, FILLING))
            continue;
        jobs[i].fn = fn;
        jobs[i].argument = argument;
        bo_store_seq(&jobs[i].state, READY);
        bo_add_seq(&posted, 1);
        bo_futex_wake(&posted, 1);
        return true;
    }
    return false;
}

bool bo_help(void (*fn)(void *), void *argument)
{
    if (!bo_load_seq(&helpers_alive) && start_one() != 0)
        return false;
    return bo_help_later(fn, argument);
}

bool bo_help_is_there(void)
{
    return bo_load_seq(&helpers_idle) > 0;
}

int bo_help_need(void)
{
    int error = 0;
    if (bo_likely(bo_load_acquire(&helpers_alive) >= READY_AT_ONCE))
        return 0;
    bo_lock(&helper_starting);
    while (!error && bo_load_seq(&helpers_alive) < READY_AT_ONCE)
        error = start_one();
    bo_unlock(&helper_starting);
    return error ? (errno = error, -1) : 0;
}

void bo_help_after_fork(void)
{
    bo_store_relaxed(&helper_starting.state, 0);
    bo_store_relaxed(&helpers_alive, 0);
    bo_store_relaxed(&helpers_idle, 0);
    for (int i = 0; i < JOBS; i++)
        bo_store_relaxed(&jobs[i].state, FREE);
}
