/* SPDX-License-Identifier: MIT */
/* Shared by the harness's files. */
#ifndef T_HARNESS_INTERNAL_H
#define T_HARNESS_INTERNAL_H

#include "harness.h"

#include <signal.h>
#include <stdarg.h>

/* The state of a process that a test must leave unchanged. */
enum { T_DESCRIPTORS = 4096, T_THREADS = 4096 };
struct t_state {
    unsigned char descriptors[T_DESCRIPTORS / 8]; /* a bit for each */
    pid_t threads[T_THREADS];
    int thread_count;
    sigset_t mask;
};
/* Lets a sanitizer start its threads, then records the state. */
void t_settle(void);
void t_state_take(struct t_state *state);
/* Reports each difference, and returns their number. */
int t_state_compare(const struct t_state *before);

/* Notes each thread of a process: name, state, system call. */
void t_describe_threads(pid_t pid);

/* One thread's /proc file as a string without its last newline; "" if it can't be read. */
void t_read_task(pid_t pid, pid_t tid, const char *file, char *text, size_t size);

/* The fourth argument of the sleep of a delay (delays.c): a thread that sleeps so is not blocked. The kernel does not use
 * it there. */
#define T_DELAY_MARK 0xdead5eed
#define T_TEXT(macro) T_TEXT_(macro)
#define T_TEXT_(text) #text

/* main(), for sanity.c. */
int t_main(int argc, char **argv);

/* Have more than these seconds passed? On a machine that is busy with other work the limit is longer, by the factor by
 * which it is slowed down, up to ten. */
int t_is_over(int64_t begin, double seconds);

void t_say(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
