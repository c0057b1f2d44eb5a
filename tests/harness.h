/* SPDX-License-Identifier: MIT */
/*
 * The test harness.
 *
 *   #include "harness.h"
 *
 *   TEST(read_is_interrupted)                       // main() is in harness.c
 *   {
 *       struct t_thread reader;
 *       t_spawn(&reader, read_pipe, &fds);
 *       t_until_blocked(reader.tid);        // in its read(), not just about to
 *       CHECK_EQ(bough_interrupt(...), 0);
 *       CHECK_EQ(t_join(&reader), (void *)ECANCELED);
 *   }
 *
 * Each test runs in a separate process and process group, with a time limit that its parent enforces (20 s, or
 * TEST_LIMIT; times T_SCALE). Its output is shown if it fails. A test that returns is then checked: no descriptor more
 * or less than before, no thread left (the library's threads, whose names begin with "bough", may stay), no child
 * process left, the signal mask as before, the wake signal's handler valid. Then the process exits in the ordinary way,
 * through atexit handlers.
 *
 * Why this is no test library: the same tests run under musl, under qemu-user for another machine, under valgrind and
 * under each sanitizer. The available libraries are built for one libc, keep their threads or descriptors in the tested
 * process, or enforce time limits by SIGALRM there.
 *
 *   ./rule_08_check_and_block                 all tests of this file, as TAP
 *   ./rule_08_check_and_block read_is_interrupted  only this one
 *   ./rule_08_check_and_block --here NAME     in this process, without fork, limit and checks: for a debugger
 *   ./rule_08_check_and_block --list
 *
 * T_SCALE=n    all time limits times n (sanitizers, valgrind, qemu) T_SEED=n     the value of t_seed(): a test with
 * random numbers prints its seed BOUGH_LOSS=n the value of t_loss()
 */
#ifndef T_HARNESS_H
#define T_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The sanitizer of this build: gcc defines macros, clang has features. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define T_TSAN 1
#else
#define T_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define T_ASAN 1
#else
#define T_ASAN 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tests ------------------------------------------------------------------------------------------------------- */

#define TEST(name) TEST_LIMIT(name, 20)
#define TEST_LIMIT(name, seconds)                                                           \
    static void t_body_##name(void);                                                        \
    static struct t_test t_test_##name = {#name, __LINE__, (seconds), t_body_##name, NULL}; \
    __attribute__((constructor)) static void t_register_##name(void)                        \
    {                                                                                       \
        t_register(&t_test_##name);                                                         \
    }                                                                                       \
    static void t_body_##name(void)

/* A failed check prints its place and ends the test at once, on any thread. */
#define CHECK(condition) ((condition) ? (void)0 : t_fail(__FILE__, __LINE__, "%s", #condition))
/* Two integers or pointers. */
#define CHECK_EQ(a, b) t_check_eq(__FILE__, __LINE__, #a, (long long)(a), #b, (long long)(b))
#define CHECK_STR(a, b) t_check_str(__FILE__, __LINE__, #a, (a), #b, (b))
/* The call returns -1 or NULL, with this errno. */
#define CHECK_ERR(call, error) \
    (errno = 0, t_check_err(__FILE__, __LINE__, #call, (long long)(call), __builtin_classify_type(call) == 5, (error)))
/* A wait status. */
#define CHECK_EXITED(status, code) t_check_status(__FILE__, __LINE__, (status), 0, (code))
#define CHECK_KILLED(status, signo) t_check_status(__FILE__, __LINE__, (status), 1, (signo))
/* Ends the test; it counts as skipped. */
#define SKIP(...) t_skip(__VA_ARGS__)
/* Ends the test as failed. */
#define FAIL(...) t_fail(__FILE__, __LINE__, __VA_ARGS__)
/* A line that is always shown, for example a count of losses. */
void t_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* This many descriptors may be open at the end that were not at the beginning. */
void t_expect_descriptors(int count);
/* Threads with these names may run at the end. The list ends with NULL; it is not copied. */
void t_expect_threads(const char *const names[]);

/* ---- ordering threads without sleeping --------------------------------------------------------------------------- */

struct t_thread {
    pthread_t handle;
    pid_t tid; /* valid when t_spawn() has returned */
};
/* A plain pthread, which bough does not know. Its function begins when nothing in t_spawn() can block any more, so a
 * thread that is then found blocked is not being created. */
void t_spawn(struct t_thread *thread, void *(*function)(void *), void *argument);
void *t_join(struct t_thread *thread);
pid_t t_tid(void);

/* The number of bytes that can be read from a descriptor. */
long t_bytes_in(int fd);

/* Wait until a thread of this process is blocked: asleep, and in the same system call without having run between two
 * checks. Fails if it ends instead, or runs on for 10 s. Under valgrind, a thread that waits for valgrind's lock looks
 * the same for a moment. So does a thread that adopts itself, or begins a region: it sleeps until bough's ticker runs.
 * A thread whose call is to be met by a signal opens a gate in front of that call. */
void t_until_blocked(pid_t tid);

/* Wait until a condition holds; fails after 10 s, later on a busy machine. For conditions that wake no thread. */
#define t_until(condition)                                           \
    do {                                                             \
        int64_t t_begin_ = t_now();                                  \
        while (!(condition))                                         \
            t_until_again(t_begin_, __FILE__, __LINE__, #condition); \
    } while (0)

/* A gate is shut ({0}) until it is opened, once and for all. Not an interruption point. */
struct t_gate {
    uint32_t open;
};
void t_gate_open(struct t_gate *gate);
int t_gate_is_open(const struct t_gate *gate);
void t_gate_wait(struct t_gate *gate);

/* A sequencer ({0}) lets threads pass in the order of the numbers 0, 1, 2...: t_turn(s, 2) waits until turn 1
 * is over, which it is when its thread calls t_over() or comes to its next t_turn(). */
struct t_sequence {
    uint32_t turn; /* whose turn it is */
    pid_t taker;   /* the thread that has taken the turn; 0: none yet */
};
void t_turn(struct t_sequence *sequence, uint32_t number);
void t_over(struct t_sequence *sequence);

/* ---- processes --------------------------------------------------------------------------------------------------- */

/* Run a function in a child process, which exits with 0 if it returns. Returns the wait status. To be
 * called while the test has one thread. */
int t_run_status(void (*function)(void *), void *argument);
/* As above, and stores its standard output and error in `text`, truncated to size - 1. */
int t_run_output(void (*function)(void *), void *argument, char *text, size_t size);

/* ---- random numbers and time ------------------------------------------------------------------------------------- */

/* The run's seed; the first call notes it. */
uint64_t t_seed(void);
/* The next number (xorshift); *state must not be 0. */
uint64_t t_random(uint64_t *state);
/* The number of interrupts that a loss test makes. */
long t_loss(void);
/* T_SCALE. */
double t_scale(void);
/* Nanoseconds on the monotonic clock. */
int64_t t_now(void);

/* ---- implementation ---------------------------------------------------------------------------------------------- */

struct t_test {
    const char *name;
    int line;
    double seconds;
    void (*body)(void);
    struct t_test *next;
};
void t_register(struct t_test *test);
void t_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn, cold));
void t_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void t_check_eq(const char *file, int line, const char *a_text, long long a, const char *b_text, long long b);
void t_check_str(const char *file, int line, const char *a_text, const char *a, const char *b_text, const char *b);
void t_check_err(const char *file, int line, const char *text, long long result, int pointer, int error);
void t_check_status(const char *file, int line, int status, int killed, int number);
void t_until_again(int64_t begin, const char *file, int line, const char *text);

/* A descriptor on which nothing ever happens. It belongs to the harness. */
int t_silent(void);
/* A wait on that descriptor, which an interrupt ends by a failure. A macro, so that each use is a separate call site of
 * poll(). */
#define t_poll_silent(ms) poll(&(struct pollfd){t_silent(), POLLIN, 0}, 1, (ms))

#ifdef __cplusplus
}
#endif
#endif
