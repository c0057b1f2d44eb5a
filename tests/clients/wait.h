/* SPDX-License-Identifier: MIT */
/*
 * A wait of a client library, for two programs made of the same file: one that interrupts a thread in it by the C API
 * (wait.c, with the harness), and one that knows nothing of bough and has the wait on its main thread (alone.c, with
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
#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* WAIT() names those that it sets */
extern "C" {
#endif

struct client_wait {
    const char *library, *call;
    void (*prepare)(void); /* once, on the main thread; NULL */
    int (*run)(
        void); /* blocks until it is interrupted or released, and tidies up. Returns 0 if it ended as it should */
    bool (*ready)(void);   /* it has come to its wait; NULL: its first blocked call is a part of what is tested */
    void (*release)(void); /* ends it by the library's own means, from another thread */
    void (*check)(void);   /* the library works as before; NULL */
    void (*finish)(void);  /* undoes prepare(); NULL */
    const char *why,
        *line;          /* why an interrupt does not end it, and the line of the library's source; NULL: it does end */
    bool anywhere;      /* interrupted whether it is blocked or not */
    int count;          /* of interrupts; 0: 200 */
    const char *dumped; /* a part of what a dump says of the thread then */
};

/* To be called by run() where the call has returned, if it takes long to tidy up. */
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

/* ---- a gate, at which a worker waits while the interrupted thread waits for the worker ---------------------------------------- */

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
