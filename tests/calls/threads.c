/* SPDX-License-Identifier: MIT */
/* Calls that wait inside libc: joins, conditions, semaphores, asynchronous input and output. */
#include "recipe.h"

#include <aio.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <threads.h>
#include <time.h>

static const struct timespec *far_by(clockid_t clock)
{
    static struct timespec time;
    clock_gettime(clock, &time);
    time.tv_sec += 3600;
    return &time;
}

static const struct timespec past = {1, 0};

/* ---- joins: of a thread that ends when its gate opens ------------------------------------------------------------ */

struct joined {
    struct t_gate gate;
    pthread_t thread;
    thrd_t c11;
    void *value;
    int result;
};

static void *end_at_gate(void *joined)
{
    t_gate_wait(&((struct joined *)joined)->gate);
    return joined;
}

static int end_at_gate_c11(void *joined)
{
    t_gate_wait(&((struct joined *)joined)->gate);
    return 77;
}

static void make_thread(struct stage *s)
{
    struct joined *j = calloc(1, sizeof *j);
    s->memory = j;
    CHECK_EQ(pthread_create(&j->thread, NULL, end_at_gate, j), 0);
}

static void open_gate(struct stage *s)
{
    struct joined *j = s->memory;
    t_gate_open(&j->gate);
}

/* The thread was not joined, so it can be joined now. */
static void joinable(struct stage *s)
{
    struct joined *j = s->memory;
    CHECK_EQ(j->value, NULL);
    open_gate(s);
    CHECK_EQ(pthread_join(j->thread, NULL), 0);
    s->id = 1;
}

static void joined(struct stage *s, long result)
{
    struct joined *j = s->memory;
    CHECK_EQ(result, 0);
    CHECK_EQ(j->value, j);
    s->id = 1;
}

static void free_thread(struct stage *s)
{
    if (!s->id)
        joinable(s);
    free(s->memory);
}

#define JOINED ((struct joined *)s->memory)

BOTH(pthread_join, JOINED->thread, &JOINED->value)
/* With musl a thread that joins itself waits, and ThreadSanitizer does not support invalid calls. */
#if defined(__GLIBC__) && !T_TSAN
WRONG(pthread_join, pthread_self(), NULL)
#else
NO_WRONG(pthread_join)
#endif
RECIPE(pthread_join, .how = BLOCKS, .prepare = make_thread, .release = open_gate, .untouched = joinable, .done = joined,
       .clean = free_thread)

static void make_c11_thread(struct stage *s)
{
    if (T_TSAN)
        SKIP("ThreadSanitizer does not support thrd_create()");
    struct joined *j = calloc(1, sizeof *j);
    s->memory = j;
    CHECK_EQ(thrd_create(&j->c11, end_at_gate_c11, j), thrd_success);
}

static void joinable_c11(struct stage *s)
{
    CHECK_EQ(JOINED->result, 0);
    open_gate(s);
    CHECK_EQ(thrd_join(JOINED->c11, NULL), thrd_success);
    s->id = 1;
}

static void joined_c11(struct stage *s, long result)
{
    CHECK_EQ(result, thrd_success);
    CHECK_EQ(JOINED->result, 77);
    s->id = 1;
}

static void free_c11_thread(struct stage *s)
{
    if (!s->id)
        joinable_c11(s);
    free(s->memory);
}

BOTH(thrd_join, JOINED->c11, &JOINED->result)
NO_WRONG(thrd_join)
RECIPE(thrd_join, .how = BLOCKS, .prepare = make_c11_thread, .release = open_gate, .untouched = joinable_c11,
       .done = joined_c11, .clean = free_c11_thread)

/* ---- conditions -------------------------------------------------------------------------------------------------- */

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

/* An error-checking mutex: unlocking fails for other threads. */
static void make_mutex(struct stage *s)
{
    pthread_mutexattr_t attributes;
    (void)s;
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK), 0);
    CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
}

/* The mutex is held around each wait, and is held after it in any case, which the unlock checks. */
static long locked(long result)
{
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    return result;
}
#define LOCKED(call) (CHECK_EQ(pthread_mutex_lock(&mutex), 0), locked(call))

static void signal_cond(struct stage *s)
{
    (void)s;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    CHECK_EQ(pthread_cond_signal(&cond), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

BOTH_AS(pthread_cond_wait, LOCKED(bough_pthread_cond_wait(&cond, &mutex)), LOCKED(pthread_cond_wait(&cond, &mutex)))
#if !T_TSAN
WRONG(pthread_cond_wait, &cond, &mutex)
#else
NO_WRONG(pthread_cond_wait)
#endif
RECIPE(pthread_cond_wait, .how = BLOCKS, .prepare = make_mutex, .release = signal_cond, .done = result_is_0)

BOTH_AS(pthread_cond_timedwait, LOCKED(bough_pthread_cond_timedwait(&cond, &mutex, far_by(CLOCK_REALTIME))),
        LOCKED(pthread_cond_timedwait(&cond, &mutex, far_by(CLOCK_REALTIME))))
WRONG_AS(pthread_cond_timedwait, LOCKED(bough_pthread_cond_timedwait(&cond, &mutex, &past)),
         LOCKED(pthread_cond_timedwait(&cond, &mutex, &past)))
RECIPE(pthread_cond_timedwait, .how = BLOCKS, .prepare = make_mutex, .release = signal_cond, .done = result_is_0)

#ifndef __GLIBC__ /* musl has no namesake: use the nearest function */
static int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock, const struct timespec *at)
{
    return pthread_cond_timedwait(c, m, clock == CLOCK_MONOTONIC && at->tv_sec > 1 ? far_by(CLOCK_REALTIME) : at);
}

static int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *at)
{
    return sem_timedwait(semaphore, clock == CLOCK_MONOTONIC && at->tv_sec > 1 ? far_by(CLOCK_REALTIME) : at);
}
#endif

BOTH_AS(pthread_cond_clockwait,
        LOCKED(bough_pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, far_by(CLOCK_MONOTONIC))),
        LOCKED(pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, far_by(CLOCK_MONOTONIC))))
WRONG_AS(pthread_cond_clockwait, LOCKED(bough_pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &past)),
         LOCKED(pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &past)))
RECIPE(pthread_cond_clockwait, .how = BLOCKS, .prepare = make_mutex, .release = signal_cond, .done = result_is_0)

static mtx_t c11_mutex;
static cnd_t c11_cond;

static void make_c11_cond(struct stage *s)
{
    (void)s;
    CHECK_EQ(mtx_init(&c11_mutex, mtx_timed), thrd_success);
    CHECK_EQ(cnd_init(&c11_cond), thrd_success);
}

static void destroy_c11_cond(struct stage *s)
{
    (void)s;
    cnd_destroy(&c11_cond);
    mtx_destroy(&c11_mutex);
}

static void signal_c11_cond(struct stage *s)
{
    (void)s;
    CHECK_EQ(mtx_lock(&c11_mutex), thrd_success);
    CHECK_EQ(cnd_signal(&c11_cond), thrd_success);
    CHECK_EQ(mtx_unlock(&c11_mutex), thrd_success);
}

static long locked_c11(long result)
{
    CHECK_EQ(mtx_trylock(&c11_mutex), thrd_busy);
    CHECK_EQ(mtx_unlock(&c11_mutex), thrd_success);
    return result;
}
#define LOCKED_C11(call) (CHECK_EQ(mtx_lock(&c11_mutex), thrd_success), locked_c11(call))

BOTH_AS(cnd_wait, LOCKED_C11(bough_cnd_wait(&c11_cond, &c11_mutex)), LOCKED_C11(cnd_wait(&c11_cond, &c11_mutex)))
NO_WRONG(cnd_wait)
RECIPE(cnd_wait, .how = BLOCKS, .prepare = make_c11_cond, .release = signal_c11_cond, .done = result_is_0,
       .clean = destroy_c11_cond)

BOTH_AS(cnd_timedwait, LOCKED_C11(bough_cnd_timedwait(&c11_cond, &c11_mutex, far_by(CLOCK_REALTIME))),
        LOCKED_C11(cnd_timedwait(&c11_cond, &c11_mutex, far_by(CLOCK_REALTIME))))
WRONG_AS(cnd_timedwait, LOCKED_C11(bough_cnd_timedwait(&c11_cond, &c11_mutex, &past)),
         LOCKED_C11(cnd_timedwait(&c11_cond, &c11_mutex, &past)))
RECIPE(cnd_timedwait, .how = BLOCKS, .prepare = make_c11_cond, .release = signal_c11_cond, .done = result_is_0,
       .clean = destroy_c11_cond)

/* ---- semaphores -------------------------------------------------------------------------------------------------- */

static sem_t semaphore;

static void make_semaphore(struct stage *s)
{
    (void)s;
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
}

static void post(struct stage *s)
{
    (void)s;
    CHECK_EQ(sem_post(&semaphore), 0);
}

static int value(void)
{
    int v;
    CHECK_EQ(sem_getvalue(&semaphore, &v), 0);
    return v;
}

static void nothing_taken(struct stage *s)
{
    post(s);
    CHECK_EQ(value(), 1);
}

static void taken(struct stage *s, long result)
{
    (void)s;
    CHECK_EQ(result, 0);
    CHECK_EQ(value(), 0);
}

static void destroy_semaphore(struct stage *s)
{
    (void)s;
    sem_destroy(&semaphore);
}

BOTH(sem_wait, &semaphore)
NO_WRONG(sem_wait)
RECIPE(sem_wait, .how = BLOCKS, .prepare = make_semaphore, .release = post, .untouched = nothing_taken, .done = taken,
       .clean = destroy_semaphore)

BOTH(sem_timedwait, &semaphore, far_by(CLOCK_REALTIME))
WRONG(sem_timedwait, &semaphore, &past)
RECIPE(sem_timedwait, .how = BLOCKS, .prepare = make_semaphore, .release = post, .untouched = nothing_taken,
       .done = taken, .clean = destroy_semaphore)

BOTH(sem_clockwait, &semaphore, CLOCK_MONOTONIC, far_by(CLOCK_MONOTONIC))
WRONG(sem_clockwait, &semaphore, CLOCK_MONOTONIC, &past)
RECIPE(sem_clockwait, .how = BLOCKS, .prepare = make_semaphore, .release = post, .untouched = nothing_taken,
       .done = taken, .clean = destroy_semaphore)

/* ---- asynchronous input and output: a read from an empty pipe ---------------------------------------------------- */

/* libc's helper threads outlive their work: they get a name of the library's threads, so that the harness does not
 * report them as leaks. */
static int start_read(struct aiocb *control)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "bough-test-aio");
    int r = aio_read(control);
    prctl(PR_SET_NAME, name);
    return r;
}

static void read_asynchronously(struct stage *s)
{
    make_pipe(s);
    struct aiocb *control = calloc(1, sizeof *control);
    control->aio_fildes = s->fd[0];
    control->aio_buf = s->buffer;
    control->aio_nbytes = 1;
    s->memory = control;
    CHECK_EQ(start_read(control), 0);
}

static void write_x(struct stage *s)
{
    CHECK_EQ(write(s->fd[1], "x", 1), 1);
}

static const struct aiocb *const *list_of(struct stage *s)
{
    static const struct aiocb *list[1];
    list[0] = s->memory;
    return list;
}

static void end_operation(struct stage *s)
{
    struct aiocb *control = s->memory;
    write_x(s);
    while (aio_error(control) == EINPROGRESS)
        aio_suspend(list_of(s), 1, NULL);
    CHECK_EQ(aio_return(control), 1);
    s->id = 1;
}

/* The operation goes on, and succeeds. */
static void goes_on(struct stage *s)
{
    CHECK_EQ(aio_error(s->memory), EINPROGRESS);
    end_operation(s);
}

static void complete(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_EQ(aio_return(s->memory), 1);
    s->id = 1;
}

static void free_control(struct stage *s)
{
    if (!s->id)
        end_operation(s);
    free(s->memory);
}

static const struct timespec no_time = {0, 1000};

BOTH(aio_suspend, list_of(s), 1, NULL)
WRONG(aio_suspend, list_of(s), 1, &no_time)
RECIPE(aio_suspend, .how = BLOCKS, .prepare = read_asynchronously, .release = write_x, .untouched = goes_on,
       .done = complete, .clean = free_control)

static const struct timespec an_hour = {3600, 0};
BOTH_AS(aio_suspend_timed, bough_aio_suspend(list_of(s), 1, &an_hour), aio_suspend(list_of(s), 1, &an_hour))
WRONG_AS(aio_suspend_timed, bough_aio_suspend(list_of(s), 1, &no_time), aio_suspend(list_of(s), 1, &no_time))
RECIPE_MORE(aio_suspend, aio_suspend_timed, .how = BLOCKS, .prepare = read_asynchronously, .release = write_x,
            .untouched = goes_on, .done = complete, .clean = free_control)
