/* SPDX-License-Identifier: MIT */
/* A thread to be interrupted: it blocks in a read of an empty pipe, stores the result, and stays until the test
 * releases it. Also a clock and the library's reports, for tests that need them. */
#ifndef TEST_TARGET_H
#define TEST_TARGET_H

#include <bough.h>
#include <signal.h>
#include <time.h>
#include "harness.h"

struct target {
    struct t_thread thread;
    struct t_gate known, cut, leave;
    bough_thread *self;
    int pipe[2];
    void (*before)(struct target *); /* runs on the thread when it has been adopted */
    void (*after)(struct target *);  /* runs on the thread when its read has ended */
    long result;
    int error;
    void *more;
};

static inline void *target_main(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    if (t->before)
        t->before(t);
    t_gate_open(&t->known);
    t->result = bough_read(t->pipe[0], &byte, 1);
    t->error = errno;
    if (t->after)
        t->after(t);
    t_gate_open(&t->cut);
    t_gate_wait(&t->leave);
    return NULL;
}

static inline void target_start(struct target *t)
{
    CHECK_EQ(pipe(t->pipe), 0);
    t_spawn(&t->thread, target_main, t);
    t_gate_wait(&t->known);
    t_until_blocked(t->thread.tid);
}

/* Checks that the target's read was interrupted. */
static inline void target_was_cut(struct target *t)
{
    t_gate_wait(&t->cut);
    CHECK_EQ(t->result, -1);
    CHECK_EQ(t->error, ECANCELED);
}

static inline void target_end(struct target *t)
{
    t_gate_open(&t->leave);
    t_join(&t->thread);
    close(t->pipe[0]);
    close(t->pipe[1]);
}

/* A child's function: reads one byte that never comes from the descriptor. */
static inline int read_for_ever(void *fd)
{
    char byte;
    return bough_read(bough_fd_of(fd), &byte, 1) < 0 ? errno : 0;
}

static inline bough_post post_stop(bough_target target)
{
    bough_post post = bough_post_event(target, NULL);
    CHECK(post.record != 0);
    return post;
}

/* Installs a handler with these flags; `full`: all signals are blocked in it. */
static inline void catch_signal(int signo, void (*handler)(int), int flags, int full)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    if (full)
        sigfillset(&action.sa_mask);
    CHECK_EQ(sigaction(signo, &action, NULL), 0);
}

static inline void block_all_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
}

/* For target.before. */
static inline void target_blocks_signals(struct target *t)
{
    (void)t;
    block_all_signals();
}

/* ThreadSanitizer delays a program's handlers until the thread calls libc: none runs during a system call that is made
 * without libc. */
#if T_TSAN
#define NEED_HANDLERS_ON_TOP() SKIP("under ThreadSanitizer no handler runs during a call")
#else
#define NEED_HANDLERS_ON_TOP() ((void)0)
#endif

/* Skips what src/arch/generic, the fallback for machines without a window, can't do. */
#if T_FALLBACK
#define NEED_WINDOW(why) SKIP("in the fallback (-Darch=generic) %s", why)
#else
#define NEED_WINDOW(why) ((void)0)
#endif

/* For tests in which the library must recognise a signal handler by the frames on the stack, which works only on some
 * machines. */
#if T_FALLBACK || !defined(__x86_64__)
#define NEED_FRAMES() SKIP("here the library can't recognise a signal handler by its frame")
#else
#define NEED_FRAMES() ((void)0)
#endif

/* Uses processor time without an interruption point. */
static inline void spin(int64_t ns)
{
    for (int64_t end = t_now() + ns; t_now() < end;)
        ;
}

static inline int64_t ms(int64_t n)
{
    return n * 1000000;
}

/* ---- the library's reports --------------------------------------------------------------------------------------- */

enum { REPORTS = 16 };
static char reports[REPORTS][512];
static uint32_t report_count, report_written[REPORTS]; /* reports come from several threads */

__attribute__((unused)) static void keep_report(const char *line)
{
    uint32_t n = __atomic_fetch_add(&report_count, 1, __ATOMIC_ACQ_REL);
    if (n >= REPORTS)
        return;
    snprintf(reports[n], sizeof reports[n], "%s", line);
    __atomic_store_n(&report_written[n], 1, __ATOMIC_RELEASE);
}

__attribute__((unused)) static uint32_t reports_kept(void)
{
    return __atomic_load_n(&report_count, __ATOMIC_ACQUIRE);
}

/* For bough_set_report(): a report about blocked signals makes the test fail. Reports about slowness may come on a busy
 * machine. */
__attribute__((unused)) static void report_of_blocked_signals_fails(const char *line)
{
    if (strstr(line, "blocks signal"))
        FAIL("reported: %s", line);
}

/* The number of reports that contain this text. */
__attribute__((unused)) static int times_reported(const char *text)
{
    int count = 0;
    for (uint32_t i = 0; i < REPORTS; i++)
        count += __atomic_load_n(&report_written[i], __ATOMIC_ACQUIRE) && strstr(reports[i], text);
    return count;
}

/* Whether a report contains this text. Helpers deliver reports soon, but not at once: use t_until(reported(...)). */
__attribute__((unused)) static int reported(const char *text)
{
    return times_reported(text) > 0;
}

__attribute__((unused)) static void forget_reports(void)
{
    memset(report_written, 0, sizeof report_written);
    __atomic_store_n(&report_count, 0, __ATOMIC_RELEASE);
}

#endif
