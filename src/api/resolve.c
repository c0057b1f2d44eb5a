/* SPDX-License-Identifier: MIT */
/*
 * Name resolution that can be interrupted. libc resolves names inside itself, through modules (NSS) that
 * block where no window of ours is. So a helper thread makes the call, and the caller waits for it
 * interruptibly. What libc answers without asking anybody is left to it, at once.
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
 * that is there wins over a cut (rule 9). A job has copies of all arguments: nothing on a cut caller's stack is
 * used again. The 17th caller waits for a helper, as interruptibly as for the result.
 *
 * A helper blocks all signals, holds no lock while it resolves, and bough does not know it. In a forked
 * child there are none: the pool begins anew, and what the parent's jobs own stays unused.
 *
 * What a drop-in can't be: a helper has its own `_res` (res_init), locale and, for a caller that left its
 * network or mount namespace, the namespaces of the thread that first asked.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <bough/call.h>
#include "api/sync.h"

enum { HELPERS = 16, IDLE_SECONDS = 2, NAME_SIZE_MAX = 4096 };

enum state { QUEUED, RUNNING, DONE, ORPHANED };

struct job {
    struct job *next, *before;
    void (*run)(struct job *job);
    _Atomic uint32_t state; /* changed under the lock; the caller's futex */
    int code, error;        /* what the call returned, and errno after it */
    struct addrinfo *list;  /* the rest: arguments and results of both calls */
    struct addrinfo hints, *hints_given;
    struct sockaddr_storage address;
    socklen_t length, host_size, service_size;
    int flags;
    char *host, *service; /* NULL, or in `text` */
    char text[];
};

static struct pool {
    struct bo_lock lock;
    struct job *first, *last;
    unsigned queued, helpers, idle;
    _Atomic uint32_t bell; /* idle helpers sleep on it */
} pool;

/* ---- jobs ------------------------------------------------------------------------------------------ */

/* A size of 0 stands for a NULL pointer. */
static struct job *new_job(void (*run)(struct job *), size_t host_size, size_t service_size)
{
    struct job *job = calloc(1, sizeof *job + host_size + service_size);
    if (!job)
        return NULL;
    job->run = run;
    job->host_size = (socklen_t)host_size;
    job->service_size = (socklen_t)service_size;
    job->host = host_size ? job->text : NULL;
    job->service = service_size ? job->text + host_size : NULL;
    return job;
}

static void free_job(struct job *job)
{
    if (job->list)
        freeaddrinfo(job->list);
    free(job);
}

/* These two under the lock. */
static void append_job(struct job *job)
{
    job->before = pool.last;
    *(pool.last ? &pool.last->next : &pool.first) = job;
    pool.last = job;
    pool.queued++;
}

static void unlink_job(struct job *job)
{
    *(job->before ? &job->before->next : &pool.first) = job->next;
    *(job->next ? &job->next->before : &pool.last) = job->before;
    pool.queued--;
}

/* ---- the helper ------------------------------------------------------------------------------------ */

/* These two with the lock, which is given up meanwhile. */
static void run_job(struct job *job)
{
    unlink_job(job);
    bo_store_relaxed(&job->state, RUNNING);
    bo_unlock(&pool.lock);
    job->run(job);
    job->error = errno;
    bo_lock(&pool.lock);
    if (bo_load_relaxed(&job->state) == ORPHANED) {
        free_job(job);
    } else {
        bo_store_release(&job->state, DONE); /* from here on it is the caller's, who may have freed it */
        bo_futex_wake(&job->state, 1);
    }
}

/* Returns the first job, or NULL if there was none for long. */
static struct job *await_job(void)
{
    int64_t until = bo_clock() + BO_SEC(IDLE_SECONDS);
    pool.idle++;
    while (!pool.first && bo_clock() < until) {
        uint32_t bell = bo_load_relaxed(&pool.bell);
        bo_unlock(&pool.lock);
        bo_futex_sleep(&pool.bell, bell, until);
        bo_lock(&pool.lock);
    }
    pool.idle--;
    return pool.first;
}

static void *helper_main(void *unused)
{
    prctl(PR_SET_NAME, "bough-resolve");
    bo_lock(&pool.lock);
    for (struct job *job; (job = await_job()) != NULL;)
        run_job(job);
    pool.helpers--;
    bo_unlock(&pool.lock);
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
    memset(&pool, 0, sizeof pool);
}

__attribute__((constructor)) static void prepare_fork(void)
{
    pthread_atfork(NULL, NULL, forget_helpers);
}

/* ---- the caller ------------------------------------------------------------------------------------- */

/* Under the lock. A queued job beyond the idle helpers gets a new one, as long as there may be more; false if
 * nobody would ever run it. */
static bool call_helper(void)
{
    if (pool.queued > pool.idle && pool.helpers < HELPERS && start_helper())
        pool.helpers++;
    bo_add_relaxed(&pool.bell, 1);
    bo_futex_wake(&pool.bell, 1);
    return pool.helpers > 0;
}

static bool submit(struct job *job)
{
    bo_lock(&pool.lock);
    append_job(job);
    bool provided = call_helper();
    if (!provided)
        unlink_job(job);
    bo_unlock(&pool.lock);
    return provided;
}

/* The caller is cut. Returns 0 if the result is there all the same; if not, the job is not the caller's any more. */
static long abandon(struct job *job, long reason)
{
    bo_lock(&pool.lock);
    uint32_t state = bo_load_relaxed(&job->state);
    if (state == QUEUED)
        unlink_job(job);
    if (state == RUNNING)
        bo_store_relaxed(&job->state, ORPHANED);
    bo_unlock(&pool.lock);
    if (state == QUEUED)
        free_job(job);
    return state == DONE ? 0 : reason;
}

static long await_result(struct job *job)
{
    long r = 0;
    for (uint32_t state; (state = bo_load_acquire(&job->state)) != DONE; r = bo_sync_wait(&job->state, state, 0))
        if (r != 0)
            return abandon(job, r);
    return 0;
}

static int fail(int code)
{
    bo_error(code); /* which returns it: but here whoever reads, the analyser too, sees that it is not 0 */
    return code;
}

/* 0: the job has run, and is the caller's. Else the code to fail with, and the job, if there was one, is gone. */
static int resolve(struct job *job)
{
    if (!job)
        return fail(EAI_MEMORY);
    if (!submit(job)) {
        free_job(job);
        return fail(EAI_AGAIN);
    }
    long r = await_result(job);
    if (r == 0)
        return 0;
    bo_failed(r);
    return EAI_SYSTEM;
}

/* The end of both calls: errno and the result of the job's, which is freed. */
static int finish(struct job *job)
{
    int code = job->code, error = job->error;
    free_job(job);
    if (code == EAI_SYSTEM)
        errno = error;
    return bo_error(code);
}

/* ---- getaddrinfo ------------------------------------------------------------------------------------- */

static bool is_address(const char *node)
{
    struct in6_addr unused;
    return inet_pton(AF_INET, node, &unused) == 1 || inet_pton(AF_INET6, node, &unused) == 1;
}

static bool is_port(const char *service)
{
    return service[0] && service[strspn(service, "0123456789")] == 0;
}

/* Whether libc answers without asking anybody. */
static bool asks_nobody(const char *node, const char *service, int flags)
{
    return (!node || flags & AI_NUMERICHOST || is_address(node)) &&
           (!service || flags & AI_NUMERICSERV || is_port(service));
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static void run_getaddrinfo(struct job *job)
{
    job->code = getaddrinfo(job->host, job->service, job->hints_given, &job->list);
    if (job->code != 0)
        job->list = NULL;
}

static bool cut_before(void)
{
    return bo_error(bo_point()) != 0 && (errno = ECANCELED);
}

static struct job *new_query(const char *node, const char *service, const struct addrinfo *hints)
{
    struct job *job = new_job(run_getaddrinfo, size_of(node), size_of(service));
    if (!job)
        return NULL;
    if (node)
        memcpy(job->host, node, job->host_size);
    if (service)
        memcpy(job->service, service, job->service_size);
    if (hints) {
        job->hints = *hints;
        job->hints_given = &job->hints;
    }
    return job;
}

int bough_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    if (cut_before())
        return EAI_SYSTEM;
    if (asks_nobody(node, service, hints ? hints->ai_flags : 0))
        return bo_error(getaddrinfo(node, service, hints, result));
    struct job *job = new_query(node, service, hints);
    int code = resolve(job);
    if (code != 0)
        return code;
    if (job->code == 0) {
        *result = job->list;
        job->list = NULL;
    }
    return finish(job);
}

/* ---- getnameinfo ------------------------------------------------------------------------------------- */

static void run_getnameinfo(struct job *job)
{
    job->code = getnameinfo((struct sockaddr *)&job->address, job->length, job->host, job->host_size, job->service,
                            job->service_size, job->flags);
}

/* No name is longer than this, whatever the caller has room for. */
static socklen_t size_in(const char *buffer, socklen_t size)
{
    return !buffer ? 0 : size < NAME_SIZE_MAX ? size : NAME_SIZE_MAX;
}

static struct job *new_question(const struct sockaddr *address, socklen_t length, socklen_t host_size,
                                socklen_t service_size, int flags)
{
    struct job *job = new_job(run_getnameinfo, host_size, service_size);
    if (!job)
        return NULL;
    job->length = length < sizeof job->address ? length : sizeof job->address;
    memcpy(&job->address, address, job->length);
    job->flags = flags;
    return job;
}

int bough_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                      socklen_t service_size, int flags)
{
    if (cut_before())
        return EAI_SYSTEM;
    host_size = size_in(host, host_size);
    service_size = size_in(service, service_size);
    if ((!host_size || flags & NI_NUMERICHOST) && (!service_size || flags & NI_NUMERICSERV))
        return bo_error(getnameinfo(address, length, host, host_size, service, service_size, flags));
    struct job *job = new_question(address, length, host_size, service_size, flags);
    int code = resolve(job);
    if (code != 0)
        return code;
    if (job->code == 0 && host_size)
        strcpy(host, job->host);
    if (job->code == 0 && service_size)
        strcpy(service, job->service);
    return finish(job);
}
