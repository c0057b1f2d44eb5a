/* SPDX-License-Identifier: MIT */
/* Time, signals, processes. */
#include "recipe.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

/* ---- sleeping ---------------------------------------------------------------------------------------------------- */

enum { LONG = 1000 };

static const struct timespec *span(struct stage *s)
{
    static const struct timespec moment = {0, 1000000}, hour = {LONG, 0};
    return s->brief ? &moment : &hour;
}

static struct timespec *left_of(struct stage *s)
{
    return (struct timespec *)s->buffer;
}

/* A sleep that is interrupted before it begins has all of its time left. In foreign code the second sleep is not
 * interrupted. */
static void most_is_left(struct stage *s)
{
#ifndef INTERPOSED
    CHECK_EQ(left_of(s)->tv_sec, LONG);
    CHECK_EQ(left_of(s)->tv_nsec, 0);
#endif
    CHECK(left_of(s)->tv_sec > LONG / 2);
}

static const struct timespec wrong_time = {0, -1};

BOTH(nanosleep, span(s), left_of(s))
WRONG(nanosleep, &wrong_time, NULL)
RECIPE(nanosleep, .how = SLEEPS, .untouched = most_is_left, .done = result_is_0)

BOTH(clock_nanosleep, CLOCK_MONOTONIC, 0, span(s), left_of(s))
WRONG(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, span(s), NULL)
RECIPE(clock_nanosleep, .how = SLEEPS, .untouched = most_is_left, .done = result_is_0)

static const struct timespec *point(struct stage *s)
{
    static struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += s->brief ? 0 : LONG;
    return &time;
}

static void left_untouched(struct stage *s)
{
    CHECK_EQ(left_of(s)->tv_sec, 0);
}

BOTH_AS(clock_nanosleep_until, bough_clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, point(s), left_of(s)),
        clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, point(s), left_of(s)))
WRONG_AS(clock_nanosleep_until, bough_clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &wrong_time, NULL),
         clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &wrong_time, NULL))
RECIPE_MORE(clock_nanosleep, clock_nanosleep_until, .how = SLEEPS, .untouched = left_untouched, .done = result_is_0)

BOTH(sleep, s->brief ? 0 : LONG)
NO_WRONG(sleep)
RECIPE(sleep, .how = SLEEPS, .done = result_is_0)

BOTH(usleep, s->brief ? 1000 : 900000000)
NO_WRONG(usleep)
RECIPE(usleep, .how = SLEEPS, .done = result_is_0)

BOTH(thrd_sleep, span(s), left_of(s))
WRONG(thrd_sleep, &wrong_time, NULL)
RECIPE(thrd_sleep, .how = SLEEPS, .untouched = most_is_left, .done = result_is_0)

static void *sleep_three(void *thread)
{
    struct timespec left = {0, 0};
    __atomic_store_n((bough_thread **)thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_ERR(bough_nanosleep(&(struct timespec){LONG, 0}, &left), ECANCELED);
    CHECK(left.tv_sec < LONG && left.tv_sec > LONG / 2); /* the thread has slept for a moment */
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

TEST(nanosleep_returns_the_time_left)
{
    bough_thread *target = NULL;
    struct t_thread thread;
    t_spawn(&thread, sleep_three, &target);
    t_until(__atomic_load_n(&target, __ATOMIC_ACQUIRE));
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt(target, NULL), 0);
    t_join(&thread);
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

static uint32_t handled;

static void handler(int signo)
{
    __atomic_store_n(&handled, (uint32_t)signo, __ATOMIC_RELEASE);
}

static void install_handler(struct stage *s)
{
    (void)s;
    __atomic_store_n(&handled, 0, __ATOMIC_RELEASE);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
}

static void send_usr1(struct stage *s)
{
    CHECK_EQ(pthread_kill(s->handle, SIGUSR1), 0);
}

static void not_handled(struct stage *s)
{
    (void)s;
    CHECK_EQ(__atomic_load_n(&handled, __ATOMIC_ACQUIRE), 0);
}

static void was_handled(struct stage *s, long result)
{
    CHECK_EQ(result, -1);
    CHECK_EQ(s->error, EINTR);
    CHECK_EQ(__atomic_load_n(&handled, __ATOMIC_ACQUIRE), SIGUSR1);
}

BOTH_AS(pause, bough_pause(), pause())
NO_WRONG(pause)
RECIPE(pause, .how = BLOCKS, .prepare = install_handler, .release = send_usr1, .untouched = not_handled,
       .done = was_handled)

static const sigset_t *all_but_usr1(void)
{
    static sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGUSR1);
    return &set;
}

static void block(int signo, int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    CHECK_EQ(pthread_sigmask(how, &set, NULL), 0);
}

static void install_and_block(struct stage *s)
{
    install_handler(s);
    block(SIGUSR1, SIG_BLOCK);
}

static void unblock_usr1(struct stage *s)
{
    (void)s;
    block(SIGUSR1, SIG_UNBLOCK);
}

BOTH(sigsuspend, all_but_usr1())
NO_WRONG(sigsuspend)
RECIPE(sigsuspend, .how = BLOCKS, .prepare = install_and_block, .release = send_usr1, .untouched = not_handled,
       .done = was_handled, .clean = unblock_usr1)

static void block_usr1(struct stage *s)
{
    (void)s;
    block(SIGUSR1, SIG_BLOCK);
}

/* All signals, including the wake signal, which wakes the thread nevertheless. */
static const sigset_t *any_signal(void)
{
    static sigset_t set;
    sigfillset(&set);
    return &set;
}

static int *number_of(struct stage *s)
{
    return (int *)s->buffer;
}

static void got_usr1(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_EQ(*number_of(s), SIGUSR1);
}

BOTH(sigwait, any_signal(), number_of(s))
NO_WRONG(sigwait)
RECIPE(sigwait, .how = BLOCKS, .prepare = block_usr1, .release = send_usr1, .done = got_usr1, .clean = unblock_usr1)

static siginfo_t *info_of(struct stage *s)
{
    return (siginfo_t *)s->buffer;
}

static void returned_usr1(struct stage *s, long result)
{
    CHECK_EQ(result, SIGUSR1);
    CHECK_EQ(info_of(s)->si_signo, SIGUSR1);
    CHECK_EQ(info_of(s)->si_pid, getpid());
}

BOTH(sigwaitinfo, any_signal(), info_of(s))
NO_WRONG(sigwaitinfo)
RECIPE(sigwaitinfo, .how = BLOCKS, .prepare = block_usr1, .release = send_usr1, .done = returned_usr1,
       .clean = unblock_usr1)

static const struct timespec an_hour = {3600, 0}, no_time = {0, 0};

BOTH(sigtimedwait, any_signal(), info_of(s), &an_hour)
WRONG(sigtimedwait, any_signal(), info_of(s), &no_time)
RECIPE(sigtimedwait, .how = BLOCKS, .prepare = block_usr1, .release = send_usr1, .done = returned_usr1,
       .clean = unblock_usr1)

/* ---- child processes --------------------------------------------------------------------------------------------- */

/* A child that ends with 7 when its pipe, fd[0] and fd[1], is closed. */
static void make_child(struct stage *s)
{
    char c;
    make_pipe(s);
    s->child = fork();
    if (s->child == 0) {
        close(s->fd[1]);
        _exit(read(s->fd[0], &c, 1) == 0 ? 7 : 1);
    }
    CHECK(s->child > 0);
}

static void let_child_end(struct stage *s)
{
    close(s->fd[1]);
    s->fd[1] = -1;
}

static int *status_of(struct stage *s)
{
    return (int *)s->buffer;
}

/* The child can still be reaped, and is reaped. */
static void not_reaped(struct stage *s)
{
    let_child_end(s);
    CHECK_EQ(waitpid(s->child, status_of(s), 0), s->child);
    CHECK_EXITED(*status_of(s), 7);
    s->child = 0;
}

static void reaped(struct stage *s, long result)
{
    CHECK_EQ(result, s->child);
    CHECK_EXITED(*status_of(s), 7);
    CHECK_ERR(waitpid(s->child, NULL, WNOHANG), ECHILD);
    s->child = 0;
}

static void reap(struct stage *s)
{
    if (s->child)
        not_reaped(s);
}

BOTH(wait, status_of(s))
static long dropin_wrong_wait(struct stage *s)
{
    not_reaped(s);
    return bough_wait(status_of(s));
}
static long namesake_wrong_wait(struct stage *s)
{
    return wait(status_of(s));
}
RECIPE(wait, .how = BLOCKS, .prepare = make_child, .release = let_child_end, .untouched = not_reaped, .done = reaped,
       .clean = reap)

BOTH(waitpid, s->child, status_of(s), 0)
WRONG(waitpid, 1, status_of(s), 0)
RECIPE(waitpid, .how = BLOCKS, .prepare = make_child, .release = let_child_end, .untouched = not_reaped, .done = reaped,
       .clean = reap)

static struct rusage *usage(void)
{
    static struct rusage usage;
    return &usage;
}

BOTH(wait3, status_of(s), 0, usage())
WRONG(wait3, status_of(s), 0x100, NULL)
RECIPE(wait3, .how = BLOCKS, .prepare = make_child, .release = let_child_end, .untouched = not_reaped, .done = reaped,
       .clean = reap)

BOTH(wait4, s->child, status_of(s), 0, usage())
WRONG(wait4, 1, status_of(s), 0, NULL)
RECIPE(wait4, .how = BLOCKS, .prepare = make_child, .release = let_child_end, .untouched = not_reaped, .done = reaped,
       .clean = reap)

static void reaped_by_id(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_EQ(info_of(s)->si_pid, s->child);
    CHECK_EQ(info_of(s)->si_status, 7);
    CHECK_ERR(waitpid(s->child, NULL, WNOHANG), ECHILD);
    s->child = 0;
}

BOTH(waitid, P_PID, (id_t)s->child, info_of(s), WEXITED)
WRONG(waitid, P_PID, (id_t)s->child, info_of(s), 0)
RECIPE(waitid, .how = BLOCKS, .prepare = make_child, .release = let_child_end, .untouched = not_reaped,
       .done = reaped_by_id, .clean = reap)
