/* SPDX-License-Identifier: MIT */
/*
 * A wait of a client library, for two programs made of the same file: one that interrupts a thread in it by the C API
 * (wait.c, with the harness), and one that was not written for bough and has the wait on its main thread (alone.c, with
 * -DALONE; preload.py runs it with libbough-preload.so).
 *
 *   WAIT(uv_run, .library = "libuv", .call = "uv_run()", .run = run_loop, ...)
 */
#ifndef TEST_WAIT_H
#define TEST_WAIT_H

#include <errno.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* WAIT() sets fields by name */
extern "C" {
#endif

struct client_wait {
    const char *library, *call;
    void (*prepare)(void); /* called once, on the main thread; may be NULL */
    int (*run)(void); /* blocks until it is interrupted or released, and cleans up. Returns 0 if it ended as expected */
    bool (*ready)(void);   /* the thread has reached its wait; NULL: the first blocked call is part of the test */
    void (*release)(void); /* ends the wait by a function of the library, from another thread */
    void (*check)(void);   /* checks that the library works as before; may be NULL */
    void (*finish)(void);  /* undoes prepare(); may be NULL */
    /* why an interrupt does not end the wait, and the line of the library's source; NULL: an interrupt ends it */
    const char *why, *line;
    bool anywhere;      /* interrupted whether it is blocked or not */
    int count;          /* the number of interrupts; 0: 200 */
    const char *dumped; /* a part of the dump's line about the blocked thread */
};

/* run() calls this when the library's call has returned, if the cleanup takes long. */
void wait_is_over(void);

#ifdef ALONE

void wait_register(const struct client_wait *wait, const char *name);

#define WAIT(name, ...)                                          \
    static const struct client_wait wait_##name = {__VA_ARGS__}; \
    __attribute__((constructor)) static void add_##name(void)    \
    {                                                            \
        wait_register(&wait_##name, #name);                      \
    }

__attribute__((noreturn)) void wait_fail(const char *file, int line, const char *what);
#define CHECK(condition) ((condition) ? (void)0 : wait_fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(a, b) CHECK((long long)(a) == (long long)(b))
#define CHECK_STR(a, b) CHECK(strcmp((a), (b)) == 0)
#define FAIL(...) (fprintf(stderr, __VA_ARGS__), wait_fail(__FILE__, __LINE__, "failed"))
#define SKIP(...) (fprintf(stderr, __VA_ARGS__), exit(77))

#else

#include "harness.h"

void wait_test(const struct client_wait *wait);

#define WAIT(name, ...)                                          \
    static const struct client_wait wait_##name = {__VA_ARGS__}; \
    TEST_LIMIT(name, 120)                                        \
    {                                                            \
        wait_test(&wait_##name);                                 \
    }

#endif

#ifdef __cplusplus
}
#endif

/* ---- a gate: a worker waits at it while the interrupted thread waits for the worker ------------------------------ */

static sem_t wait_gate; /* zeroed: shut */

static inline void gate_pass(void)
{
    while (sem_wait(&wait_gate) != 0)
        ;
}

static inline void gate_open(void)
{
    sem_post(&wait_gate);
}

static inline void *gate_thread(void *unused)
{
    gate_pass();
    return unused;
}

#endif
