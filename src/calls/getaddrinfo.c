/* SPDX-License-Identifier: MIT */
/*
 * Name resolution that can be interrupted. libc resolves names inside itself, through modules (NSS) that block where
 * the library has no window. So a helper thread makes the call (blocking_pool.h). For queries that libc answers without
 * a server, libc is called directly.
 *
 * Limits: a helper does not have the caller's `_res` (res_init) and locale, and if the caller has changed its network
 * or mount namespace, it has the namespaces of the thread that started the helper.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <bough/call.h>
#include "calls/blocking_pool.h"
#include "thread/call.h"
#include "trace/recorder.h"

enum { NAME_SIZE_MAX = 4096 };

struct job {
    struct bo_blocking_job base;
    int code;              /* the return value of the call */
    struct addrinfo *list; /* the rest: arguments and results of both calls */
    struct addrinfo hints, *hints_given;
    struct sockaddr_storage address;
    socklen_t length, host_size, service_size;
    int flags;
    char *host, *service; /* in `text`, or NULL */
    char text[];
};

/* ---- jobs ------------------------------------------------------------------------------------------ */

static void free_job(struct bo_blocking_job *base)
{
    struct job *job = (struct job *)base;
    if (job->list)
        freeaddrinfo(job->list);
    free(job);
}

/* A size of 0 stands for a NULL pointer. */
static struct job *new_job(void (*run)(struct bo_blocking_job *), size_t host_size, size_t service_size)
{
    struct job *job = calloc(1, sizeof *job + host_size + service_size);
    if (!job)
        return NULL;
    job->base.run = run;
    job->base.free = free_job;
    job->host_size = (socklen_t)host_size;
    job->service_size = (socklen_t)service_size;
    job->host = host_size ? job->text : NULL;
    job->service = service_size ? job->text + host_size : NULL;
    return job;
}

static int fail(int code)
{
    bo_error(code); /* returns `code`, too; but with `return code` the analyser sees that the result is not 0 */
    return code;
}

/* 0: the job has run, and the caller owns it. Otherwise the code to fail with; then the caller no longer owns the job,
 * if there was one. `argument`: for recordings. */
static int resolve(struct job *job, enum bo_trace_wait number, const struct bo_trace_argument *argument)
{
    struct bo_trace_call call = {.is_on = false};
    if (!job)
        return fail(EAI_MEMORY);
    if (bo_tracing())
        bo_trace_call_begin(&call, number, argument);
    long r = bo_blocking_pool_run(&job->base);
    if (call.is_on)
        bo_trace_call_end(&call);
    if (r == 0)
        return 0;
    if (r == -EAGAIN)
        return fail(EAI_AGAIN);
    bo_failed(r);
    return EAI_SYSTEM;
}

/* The end of both calls: sets errno and returns the result, both from the job, and frees the job. */
static int finish_job(struct job *job)
{
    int code = job->code, error = job->base.error;
    free_job(&job->base);
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

/* Whether libc answers without a server. */
static bool needs_no_server(const char *node, const char *service, int flags)
{
    return (!node || flags & AI_NUMERICHOST || is_address(node)) &&
           (!service || flags & AI_NUMERICSERV || is_port(service));
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static void run_getaddrinfo(struct bo_blocking_job *base)
{
    struct job *job = (struct job *)base;
    job->code = getaddrinfo(job->host, job->service, job->hints_given, &job->list);
    if (job->code != 0)
        job->list = NULL;
}

static bool cut_before(void)
{
    return bo_point() != 0 && bo_failed(-BO_ECUT) < 0;
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

/* "host:service". Returns its length. */
static unsigned name_text(char text[BO_TRACE_CALL_TEXT], const char *node, const char *service)
{
    if (!bo_tracing())
        return 0;
    int n = snprintf(text, BO_TRACE_CALL_TEXT, "%s%s%s", node ? node : "", service ? ":" : "", service ? service : "");
    return n < 0 ? 0 : n < BO_TRACE_CALL_TEXT ? (unsigned)n : BO_TRACE_CALL_TEXT - 1;
}

int bough_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    if (cut_before())
        return EAI_SYSTEM;
    if (needs_no_server(node, service, hints ? hints->ai_flags : 0))
        return bo_error(getaddrinfo(node, service, hints, result));
    struct job *job = new_query(node, service, hints);
    char text[BO_TRACE_CALL_TEXT];
    int code = resolve(job, BO_TRACE_IN_GETADDRINFO,
                       &(struct bo_trace_argument){BO_TRACE_NAME_OF, name_text(text, node, service), 0, text});
    if (code != 0)
        return code;
    if (job->code == 0) {
        *result = job->list;
        job->list = NULL;
    }
    return finish_job(job);
}

/* ---- getnameinfo ------------------------------------------------------------------------------------- */

static void run_getnameinfo(struct bo_blocking_job *base)
{
    struct job *job = (struct job *)base;
    job->code = getnameinfo((struct sockaddr *)&job->address, job->length, job->host, job->host_size, job->service,
                            job->service_size, job->flags);
}

/* The size to allocate: no name is longer than the limit, however large the caller's buffer is. */
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

static struct bo_trace_argument address_argument(const struct job *job)
{
    unsigned length = job->length < BO_TRACE_CALL_TEXT ? job->length : BO_TRACE_CALL_TEXT;
    return (struct bo_trace_argument){BO_TRACE_SOCKET, length, UINT32_MAX, (const char *)&job->address};
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
    struct bo_trace_argument argument = {.kind = BO_TRACE_NOTHING};
    if (job)
        argument = address_argument(job);
    int code = resolve(job, BO_TRACE_IN_GETNAMEINFO, &argument);
    if (code != 0)
        return code;
    if (job->code == 0 && host_size)
        strcpy(host, job->host);
    if (job->code == 0 && service_size)
        strcpy(service, job->service);
    return finish_job(job);
}
