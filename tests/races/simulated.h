/* SPDX-License-Identifier: MIT */
/* Threads without a kernel thread: slots in trees of thousands. The calling thread plays each of them in turn, to open
 * branches and to check for pending records. */
#ifndef TEST_SIMULATED_H
#define TEST_SIMULATED_H

#include <bough.h>
#include "thread/adopt.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/reach.h"
#include "thread/retire.h"

/* Makes a child in `b`, or at the root if `b` is NULL, that is never started. */
static inline struct bo_thread *sim_thread(struct bo_branch *b)
{
    struct bo_thread *t = bo_thread_new();
    if (!t)
        return NULL;
    bo_begin_adopted(t);
    if (b) {
        bo_add_seq(&b->live, 1);
        bo_reach_add(b, t->t.index);
    }
    bo_publish(t, b ? b->t.index : BO_ROOT, 0);
    return t;
}

static inline struct bo_branch *sim_open(struct bo_thread *t)
{
    struct bo_thread *self = bo_self;
    bo_self = t;
    bough_branch *b = bough_branch_open(NULL);
    bo_self = self;
    return b ? bo_branch_at(bo_handle_index((uint64_t)(uintptr_t)b)) : NULL;
}

static inline void sim_end(struct bo_thread *t, struct bo_branch *b)
{
    struct bo_thread *self = bo_self;
    bo_self = t;
    bough_branch_end((bough_branch *)(uintptr_t)bo_branch_handle(b));
    bo_self = self;
}

static inline void sim_gone(struct bo_thread *t)
{
    uint32_t parent = bo_load_relaxed(&t->parent);
    bo_retire(t, BOUGH_POST_ENDED);
    if (parent != BO_ROOT)
        bo_sub_seq(&bo_branch_at(parent)->live, 1);
    bo_thread_free(t);
}

static inline bough_target sim_target(const struct bo_thread *t)
{
    return (bough_target)(uintptr_t)bo_thread_handle(t);
}

/* A chain: thread 0 is at the root and has a branch open, in which thread 1 is a child, and so on. The last thread has
 * no branch. */
struct sim_chain {
    size_t count;
    struct bo_thread **thread;
    struct bo_branch **branch;
};

static inline size_t sim_chain_grow(struct sim_chain *c, size_t count)
{
    c->thread = calloc(count, sizeof *c->thread);
    c->branch = calloc(count, sizeof *c->branch);
    struct bo_branch *b = NULL;
    for (c->count = 0; c->count < count; c->count++) {
        struct bo_thread *t = c->thread[c->count] = sim_thread(b);
        if (!t || (c->count + 1 < count && !(b = c->branch[c->count] = sim_open(t))))
            break;
    }
    return c->count;
}

static inline void sim_chain_end(struct sim_chain *c)
{
    for (size_t i = c->count; i-- > 0;) {
        sim_gone(c->thread[i]);
        if (i > 0)
            sim_end(c->thread[i - 1], c->branch[i - 1]);
    }
    free(c->thread);
    free(c->branch);
}

#endif
