/* SPDX-License-Identifier: MIT */
/* What the harness's own files share. */
#ifndef T_HARNESS_INTERNAL_H
#define T_HARNESS_INTERNAL_H

#include "harness.h"

#include <signal.h>
#include <stdarg.h>

/* A process's state that a test must leave as it was. */
enum { T_DESCRIPTORS = 4096, T_THREADS = 4096 };
struct t_state {
    unsigned char descriptors[T_DESCRIPTORS / 8]; /* a bit for each */
    pid_t threads[T_THREADS];
    int thread_count;
    sigset_t mask;
};
/* Lets a sanitizer start what it needs, then looks. */
void t_settle(void);
void t_state_take(struct t_state *state);
/* Says what is different, and returns how much is. */
int t_state_compare(const struct t_state *before);

/* Notes each thread of a process: name, state, system call. */
void t_describe_threads(pid_t pid);

/* One thread's /proc file as a string without its last newline; "" if it can't be read. */
void t_read_task(pid_t pid, pid_t tid, const char *file, char *text, size_t size);

/* main(), for sanity.c. */
int t_main(int argc, char **argv);

/* More seconds than these are over, or on a machine that is busy with other work as many times more as that slows it down, up to
 * ten times. */
int t_is_over(int64_t begin, double seconds);

void t_say(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
