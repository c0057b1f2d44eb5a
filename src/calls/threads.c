/* SPDX-License-Identifier: MIT */
/*
 * Waits inside libc: joins, conditions, semaphores. An interrupt ends such a wait by its deadline (thread/call.h). So
 * each wait gets a deadline, in `wait.until`, and the cause of a timeout that libc reports is determined afterwards:
 *
 *     libc returns     due     the cause
 *     0, EOWNERDEAD    -       a completed effect, which wins (rule 9)
 *     ETIMEDOUT        yes     the interrupt: BO_ECUT, which is ECANCELED when it is returned
 *     ETIMEDOUT        no      the deadline, if `until` still is the deadline; else a wake for an interrupt
 *                              that was withdrawn meanwhile: wait again
 */
#include <bough/calls.h>
#include <semaphore.h>
#include <threads.h>
#include "thread/call.h"
#include "thread/foreign_call.h"
#include "wake/wake_signal.h"

enum { AGAIN = -1 }; /* not an error number */

/* Whether libc's ETIMEDOUT can be due to the caller's deadline. */
static bool was_deadline(const struct bo_libc_wait *wait, const struct timespec *deadline)
{
    return deadline && wait->until.tv_sec == deadline->tv_sec && wait->until.tv_nsec == deadline->tv_nsec;
}

static int verdict(const struct bo_libc_wait *wait, const struct timespec *deadline, int error, bool due)
{
    if (error != ETIMEDOUT)
        return error;
    if (due)
        return BO_ECUT;
    return was_deadline(wait, deadline) ? ETIMEDOUT : AGAIN;
}

static int thrd_result(int error)
{
    if (bo_error(error) == ECANCELED)
        errno = ECANCELED; /* otherwise errno stays unchanged, as with libc */
    return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}

/* ---- clocks ------------------------------------------------------------------------------------------ */

#ifdef __GLIBC__

static const struct timespec *deadline_by(clockid_t clock, const struct timespec *deadline, struct timespec *copy)
{
    (void)clock;
    (void)copy;
    return deadline;
}
#define sem_until(semaphore, clock, until) sem_clockwait(semaphore, clock, until)
#define cond_until(cond, mutex, clock, until) pthread_cond_clockwait(cond, mutex, clock, until)
enum { TIMEOUT_EATS_SIGNAL = 0 }; /* a waiter that times out passes the condition's signal on */

#else

/* musl has no waits by a clock: a deadline is converted to CLOCK_REALTIME once. That is correct as long as the clock is
 * not set, and for conditions with the default clock. NULL: there is no such clock. */
static const struct timespec *deadline_by(clockid_t clock, const struct timespec *deadline, struct timespec *copy)
{
    struct timespec there, here;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return NULL;
    if (clock == CLOCK_REALTIME || deadline->tv_nsec < 0 || deadline->tv_nsec >= 1000000000)
        return deadline;
    clock_gettime(clock, &there);
    clock_gettime(CLOCK_REALTIME, &here);
    copy->tv_nsec = deadline->tv_nsec - there.tv_nsec + here.tv_nsec;
    long carry = copy->tv_nsec < 0 ? -1 : copy->tv_nsec / 1000000000;
    copy->tv_nsec -= carry * 1000000000;
    if (__builtin_add_overflow(deadline->tv_sec, here.tv_sec - there.tv_sec + carry, &copy->tv_sec))
        *copy = *deadline; /* as far in the future by either clock */
    return copy;
}
#define sem_until(semaphore, clock, until) ((void)(clock), sem_timedwait(semaphore, until))
#define cond_until(cond, mutex, clock, until) ((void)(clock), pthread_cond_timedwait(cond, mutex, until))
/* A waiter that was signalled and times out at the same time returns ETIMEDOUT, and the signal is lost. */
enum { TIMEOUT_EATS_SIGNAL = 1 };

#endif

/* ---- joins ------------------------------------------------------------------------------------------- */

static int join(pthread_t thread, void **result)
{
    struct bo_libc_wait wait;
    int error = bo_libc_begin(&wait, NULL, BO_TRACE_IN_JOIN, (uint64_t)thread);
    if (error)
        return error;
    error = pthread_timedjoin_np(thread, result, &wait.until);
    return verdict(&wait, NULL, error, bo_libc_end(&wait));
}

static int join_for_good(pthread_t thread, void **result)
{
    int error;
    do
        error = join(thread, result);
    while (error == AGAIN);
    return error;
}

int bough_pthread_join(pthread_t thread, void **result)
{
    return bo_error(join_for_good(thread, result));
}

int bough_thrd_join(thrd_t thread, int *result)
{
    void *value;
    int error = join_for_good((pthread_t)thread, &value);
    if (!error && result)
        *result = (int)(intptr_t)value;
    return thrd_result(error);
}

/* ---- conditions -------------------------------------------------------------------------------------- */

/* A condition wait may wake up spuriously, so no wait has to be repeated here. */
static int await_was_woken(const struct bo_libc_wait *wait, const struct timespec *deadline, int error, bool due)
{
    error = verdict(wait, deadline, error, due);
    return error == AGAIN ? 0 : error;
}

/* Passes on a wake-up that the interrupted wait may have consumed; a superfluous wake-up is harmless. */
static int hand_signal_on(pthread_cond_t *cond, int error)
{
    if (TIMEOUT_EATS_SIGNAL && error == BO_ECUT)
        pthread_cond_signal(cond);
    return error;
}

/* The wait uses the condition's clock, which is unknown; but the deadlines used here are in the far future, or past, on
 * each clock. */
static int await_condition(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *deadline)
{
    struct bo_libc_wait wait;
    int error = bo_libc_begin(&wait, deadline, BO_TRACE_IN_COND, (uintptr_t)cond);
    if (error)
        return error;
    error = pthread_cond_timedwait(cond, mutex, &wait.until);
    return hand_signal_on(cond, await_was_woken(&wait, deadline, error, bo_libc_end(&wait)));
}

int bough_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return bo_error(await_condition(cond, mutex, NULL));
}

int bough_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *deadline)
{
    return bo_error(await_condition(cond, mutex, deadline));
}

int bough_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                 const struct timespec *deadline)
{
    struct bo_libc_wait wait;
    struct timespec copy;
    deadline = deadline_by(clock, deadline, &copy);
    if (!deadline)
        return bo_error(EINVAL);
    int error = bo_libc_begin(&wait, deadline, BO_TRACE_IN_COND, (uintptr_t)cond);
    if (error)
        return bo_error(error);
    error = cond_until(cond, mutex, clock, &wait.until);
    return bo_error(hand_signal_on(cond, await_was_woken(&wait, deadline, error, bo_libc_end(&wait))));
}

/* Both libcs implement C11's conditions as those of POSIX, but only the C11 functions may be used on them. */
static int await_c11(cnd_t *cond, mtx_t *mutex, const struct timespec *deadline)
{
    struct bo_libc_wait wait;
    int error = bo_libc_begin(&wait, deadline, BO_TRACE_IN_COND, (uintptr_t)cond);
    if (error)
        return thrd_result(error);
    int r = cnd_timedwait(cond, mutex, &wait.until);
    error = await_was_woken(&wait, deadline, ETIMEDOUT, bo_libc_end(&wait));
    if (r != thrd_timedout)
        return r;
    if (TIMEOUT_EATS_SIGNAL && error == BO_ECUT)
        cnd_signal(cond);
    return thrd_result(error);
}

int bough_cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return await_c11(cond, mutex, NULL);
}

int bough_cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *deadline)
{
    return await_c11(cond, mutex, deadline);
}

/* ---- semaphores -------------------------------------------------------------------------------------- */

/* Whether a wake has ended the wait. The interrupt of that wake may not be due any more. */
static bool was_woken(const struct bo_libc_wait *wait)
{
    return wait->until.tv_sec == 0 && wait->until.tv_nsec == 0;
}

/* Whether to repeat a wait that failed with EINTR. A wait with a deadline fails with EINTR after any handler, a wait
 * without a deadline only after handlers that do not restart calls. If only the library's far deadline, or a wake, has
 * caused the failure, the wait is repeated. */
static bool restarts(const struct bo_libc_wait *wait, const struct timespec *deadline, int error)
{
    return error == EINTR && (was_woken(wait) || (!deadline && bo_handlers_restart()));
}

/* In foreign code a call that need not wait is no interruption point. This function takes the token, because after a
 * mere check of the count another thread could take it before the call. */
static bool foreign_takes(sem_t *semaphore)
{
    return bo_self && bo_foreign_calls(bo_self) && sem_trywait(semaphore) == 0;
}

static int take_semaphore(sem_t *semaphore, clockid_t clock, const struct timespec *deadline)
{
    struct bo_libc_wait wait;
    int error = bo_libc_begin(&wait, deadline, BO_TRACE_IN_SEM, (uintptr_t)semaphore);
    if (error)
        return foreign_takes(semaphore) ? 0 : error;
    error = sem_until(semaphore, clock, &wait.until) == 0 ? 0 : errno;
    bool due = bo_libc_end(&wait);
    /* A token that was posted while this thread was leaving wins (rule 9); otherwise it would stay unused. */
    if (due && (error == ETIMEDOUT || error == EINTR))
        return sem_trywait(semaphore) == 0 ? 0 : BO_ECUT;
    return restarts(&wait, deadline, error) ? AGAIN : verdict(&wait, deadline, error, due);
}

static int take_for_good(sem_t *semaphore, clockid_t clock, const struct timespec *deadline)
{
    int error;
    do
        error = take_semaphore(semaphore, clock, deadline);
    while (error == AGAIN);
    return (int)bo_result(-error);
}

int bough_sem_wait(sem_t *semaphore)
{
    return take_for_good(semaphore, CLOCK_REALTIME, NULL);
}

int bough_sem_timedwait(sem_t *semaphore, const struct timespec *deadline)
{
    return take_for_good(semaphore, CLOCK_REALTIME, deadline);
}

int bough_sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *deadline)
{
    struct timespec copy;
    deadline = deadline_by(clock, deadline, &copy);
    return deadline ? take_for_good(semaphore, clock, deadline) : (int)bo_result(-EINVAL);
}
