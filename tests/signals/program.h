/* SPDX-License-Identifier: MIT */
/* Programs under test: each is a function in place of a main(), which t_run_status() runs in a separate process. A
 * return from it is a return of 0 from main(). */
#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

#include <bough.h>
#include <signal.h>
#include <sys/mman.h>
#include "../sync/not_under.h"
#include "harness.h"

/* Disables the leak check, because a process that ends in the middle of a branch does not free the branch's memory. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}

static const int p_signals[] = {SIGHUP, SIGINT, SIGTERM};

/* Resets signals that are ignored under nohup, or in the background of a shell. */
__attribute__((constructor)) static void p_begin(void)
{
    for (int i = 0; i < 3; i++)
        signal(p_signals[i], SIG_DFL);
}

/* Shared memory for a program's observations: `static struct seen *seen = p_share(...)`. */
static inline void *p_share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

/* Block until an interrupt. */
static inline void p_until_stopped(void)
{
    while (bough_usleep(500000) == 0)
        continue;
    CHECK_EQ(errno, ECANCELED);
}

/* Sends a signal to this process, from a separate thread, when main is blocked. */
struct p_sender {
    struct t_thread thread;
    int signo;
    int to_itself; /* the handler runs on the sender's thread, not on main's */
};

static inline void *p_send_main(void *argument)
{
    struct p_sender *s = argument;
    t_until_blocked(getpid());
    if (s->to_itself)
        pthread_kill(pthread_self(), s->signo);
    else
        kill(getpid(), s->signo);
    return NULL;
}

static inline void p_send_when_blocked(struct p_sender *s, int signo)
{
    s->signo = signo;
    t_spawn(&s->thread, p_send_main, s);
}

/* A thread that never ends; its argument is the gate that it opens first. */
static inline void *p_never_end(void *gate)
{
    bough_adopt("stubborn");
    t_gate_open(gate);
    while (pause())
        continue;
    return NULL;
}

/* The status of a program that had no processor for 250 ms, so that its signals are several events. The test runs
 * again, but not forever: the program may be late each time. */
enum { P_TOO_SLOW = 33, P_TRIES = 20 };

static inline int p_run_in_time(void (*program)(void *))
{
    for (int i = 0; i < P_TRIES; i++) {
        int status = t_run_status(program, NULL);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != P_TOO_SLOW)
            return status;
    }
    SKIP("each run took 250 ms: the signals are several events");
}

/* Waits longer than the time in which signals count as one event. */
static inline void p_next_event(void)
{
    nanosleep(&(struct timespec){0, 260000000}, NULL);
}

#endif
