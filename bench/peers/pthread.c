/* SPDX-License-Identifier: MIT */
/* POSIX threads as glibc has them: cancellation points, pthread_cancel(), create and join. */
#include "../bench.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void start_thread(pthread_t *thread, void *(*fn)(void *))
{
    int error = pthread_create(thread, NULL, fn, NULL);
    if (error)
        bench_die("pthread_create(): %s", strerror(error));
}

/* ---- check and read ------------------------------------------------------------------------- */

static void check(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        pthread_testcancel();
        bench_barrier();
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/* glibc's reads are cheaper in a process that has always had one thread. A second thread, which sleeps, makes this the
 * read of a threaded program. */
static pthread_t second;
static int second_pipe[2];

static void *sleep_on_pipe(void *unused)
{
    char byte;
    (void)unused;
    return read(second_pipe[0], &byte, 1) == 0 ? NULL : unused;
}

static const char *begin_second(void)
{
    if (pipe(second_pipe) != 0)
        return "no pipe";
    start_thread(&second, sleep_on_pipe);
    return NULL;
}

static void end_second(void)
{
    close(second_pipe[1]);
    pthread_join(second, NULL);
    close(second_pipe[0]);
}

static void read_zero(struct batch *batch)
{
    int fd = bench_zero();
    char byte;
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        if (read(fd, &byte, 1) != 1)
            bench_die("read(): no byte");
    bench_record(batch, bench_now() - start, batch->n);
}

/* ---- post to joined ------------------------------------------------------------------------- */

static void *reader(void *unused)
{
    char byte;
    bench_blocking();
    if (read(bench_empty(), &byte, 1) >= 0)
        bench_die("read() returned from an empty pipe");
    return unused;
}

static void post(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        pthread_t thread;
        void *result;
        start_thread(&thread, reader);
        bench_await_blocked();
        int64_t start = bench_now();
        pthread_cancel(thread);
        pthread_join(thread, &result);
        bench_record(batch, bench_now() - start, 1);
        if (result != PTHREAD_CANCELED)
            bench_die("pthread_cancel(): not cancelled");
    }
}

/* ---- create and join ------------------------------------------------------------------------ */

static void *nothing(void *unused)
{
    return unused;
}

static void create_join(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        pthread_t thread;
        start_thread(&thread, nothing);
        pthread_join(thread, NULL);
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/* ---- a crowd -------------------------------------------------------------------------------- */

static void *poller(void *unused)
{
    struct pollfd wait = {.fd = bench_empty(), .events = POLLIN};
    bench_crowd_arrive();
    if (poll(&wait, 1, -1) != 1)
        bench_die("poll(): %s", strerror(errno));
    return unused;
}

static void crowd(struct batch *batch)
{
    bench_crowd_begin();
    pthread_t *threads = malloc(batch->n * sizeof *threads);
    if (!threads)
        bench_crowd_skip("no memory");
    for (size_t i = 0; i < batch->n; i++) {
        int error = pthread_create(&threads[i], NULL, poller, NULL);
        if (error)
            bench_crowd_skip(strerror(error));
    }
    bench_crowd_blocked(batch);

    int64_t start = bench_now();
    bench_empty_close();
    for (size_t i = 0; i < batch->n; i++)
        pthread_join(threads[i], NULL);
    bench_record(batch, bench_now() - start, batch->n);
    free(threads);
}

const struct contender bench_pthread[] = {
    {BENCH_CHECK, "pthread_testcancel()", NULL, check, NULL},
    {BENCH_READ, "glibc's read()", begin_second, read_zero, end_second},
    {BENCH_POST, "pthread_cancel()", NULL, post, NULL},
    {BENCH_SPAWN, "pthread_create(), join", NULL, create_join, NULL},
    {BENCH_CROWD, "pthreads, poll", NULL, crowd, NULL},
    {0, NULL, NULL, NULL, NULL},
};
