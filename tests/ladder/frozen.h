/* SPDX-License-Identifier: MIT */
/* Rung 4 without a warden: the test makes the request, and acts as the helper. */
#ifndef TEST_FROZEN_H
#define TEST_FROZEN_H

#include <bough.h>
#include <time.h>
#include "../harness.h"
/* a plain stop, which the warden does not let climb to rung 4: only the test asks the thread to freeze */
#include "../semantics/target.h"
#include "ladder/closer.h"
#include "ladder/freeze.h"
#include "thread/level.h"
#include "wake/ticker.h"

static inline struct bo_thread *slot_of(const bough_thread *thread)
{
    return bo_thread_at(bo_handle_index((uint64_t)(uintptr_t)thread));
}

/* Requests the freeze repeatedly, as the warden does, until there is a verdict. */
static inline enum bo_freezing freeze(const bough_thread *thread, const char **why)
{
    const struct timespec nap = {0, 1000000};
    enum bo_freezing r;
    while ((r = bo_freeze(slot_of(thread), bo_handle_generation((uint64_t)(uintptr_t)thread), why)) == BO_FREEZE_ASKED)
        nanosleep(&nap, NULL);
    return r;
}

static inline void must_freeze(const bough_thread *thread)
{
    const char *why;
    CHECK_EQ(freeze(thread, &why), BO_FROZEN);
}

static inline void must_not_freeze(const bough_thread *thread, const char *reason)
{
    const char *why;
    CHECK_EQ(freeze(thread, &why), BO_NOT_SAFE);
    CHECK_STR(why, reason);
}

/* A thread that is asked to freeze. It publishes its handle, and whether it is still running. */
struct subject {
    struct t_thread thread;
    struct t_gate known, leave;
    bough_thread *self;
    _Atomic unsigned rounds;
    int pipe[2];
};

static inline void subject_known(struct subject *s)
{
    s->self = bough_self();
    t_gate_open(&s->known);
}

static inline void subject_start(struct subject *s, void *(*function)(void *))
{
    CHECK_EQ(pipe(s->pipe), 0);
    t_spawn(&s->thread, function, s);
    t_gate_wait(&s->known);
}

static inline void subject_end(struct subject *s)
{
    t_gate_open(&s->leave);
    t_join(&s->thread);
    close(s->pipe[0]);
    close(s->pipe[1]);
}

/* Checks that the thread no longer runs. */
static inline void subject_closed(struct subject *s)
{
    unsigned rounds = s->rounds;
    usleep(5000);
    CHECK_EQ(s->rounds, rounds);
    bo_close_thread(slot_of(s->self));
    CHECK_ERR(bough_alive(s->self), ESRCH);
    close(s->pipe[0]);
    close(s->pipe[1]);
}

/* Not instrumented, because the thread would sometimes be frozen in the thread sanitizer's code, with the sanitizer's
 * lock held. */
__attribute__((unused, noinline, noreturn, no_sanitize("thread"))) static void compute(struct subject *s)
{
    for (;;)
        s->rounds++;
}

#endif
