/* SPDX-License-Identifier: MIT */
/* A thread that makes one call and stores its result. */
#ifndef TEST_WORKER_H
#define TEST_WORKER_H

#include <bough.h>
#include "harness.h"
#include "not_under.h"

/* Checks that `wait`, an expression with `deadline`, fails with ETIMEDOUT, and not before the deadline. */
#define CHECK_ENDS_AT_DEADLINE(wait)                     \
    do {                                                 \
        bough_time deadline = bough_after(BOUGH_MS(20)); \
        CHECK_ERR(wait, ETIMEDOUT);                      \
        CHECK(bough_now() >= deadline);                  \
    } while (0)

struct worker {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    int (*call)(void *object);
    void *object;
    int result, error; /* after w_end() */
};

static inline void *w_main(void *argument)
{
    struct worker *w = argument;
    w->self = bough_self();
    t_gate_open(&w->known);
    w->result = w->call(w->object);
    w->error = errno;
    return NULL;
}

static inline void w_start(struct worker *w, int (*call)(void *), void *object)
{
    *w = (struct worker){.call = call, .object = object};
    t_spawn(&w->thread, w_main, w);
    t_gate_wait(&w->known);
}

static inline void w_start_blocked(struct worker *w, int (*call)(void *), void *object)
{
    w_start(w, call, object);
    t_until_blocked(w->thread.tid);
}

static inline int w_end(struct worker *w)
{
    t_join(&w->thread);
    return w->result;
}

static inline void w_cut(struct worker *w)
{
    CHECK_EQ(bough_interrupt(w->self, "test"), 0);
}

/* Interrupts the thread, and checks that this ends its call. */
static inline void w_end_cut(struct worker *w)
{
    w_cut(w);
    CHECK_EQ(w_end(w), -1);
    CHECK_EQ(w->error, ECANCELED);
}

#endif
