/* SPDX-License-Identifier: MIT */
/*
 * The part of a branch that only this process needs: its children and their results.
 *
 *      struct bo_branch  (arena, seen by posters)         struct bo_branch_state  (this process only)
 *        live, deadline, records                  ----->    children, failures, tally
 *
 *      struct bo_child   one bough_add(): function, resource, outcome
 *      struct bo_worker  one OS thread, which runs one child after another
 */
#ifndef BO_BRANCH_BRANCH_STATE_H
#define BO_BRANCH_BRANCH_STATE_H

#include <bough/branch.h>
#include <pthread.h>
#include "base/futex.h"
#include "state/arena.h"

/*
 * A child's life:
 *
 *      bough_add --> RUNNING --its function returns--> OK | ERROR | INTERRUPTED --> kept or freed
 *           |       \--its thread is frozen--> LOST ----------------------------> kept or freed
 *           \--> NOT_STARTED (the branch is marked, no thread, no memory): freed at once
 *
 * The adder writes the struct before the worker starts, and the worker afterwards; `outcome` and the list links are
 * written under the branch state's lock.
 */
struct bo_child {
    struct bo_child *next, **link;
    struct bo_branch_state *state;
    uint64_t branch; /* handles */
    uint64_t id;
    bough_fn *fn;
    bough_resource resource; /* its destructor is removed by the thread that runs it or takes the resource over */
    bough_resource *own;     /* what bough_take() takes: `resource`, or the resource inside a wrapper */
    bool disabled, foreign;
    bool named; /* its branch collects results: there is room for the child's name */
    enum bough_outcome outcome;
    int result;
    unsigned fail_calls;        /* how often the child has called bough_fail() */
    int code;                   /* of its first failure; 0: none */
    struct bo_failure *failure; /* the evidence of that failure; NULL if there was no memory */
    uint64_t mask;              /* the adder's signal mask, which the child inherits */
    char name[];                /* set when the child has ended */
};

/* A function to run when a branch ends, after its children. */
struct bo_at_end {
    struct bo_at_end *next;
    void (*fn)(void *);
    void *argument;
};

/* The memory that the end of a branch needs is allocated at its opening (ending, spare) or when a child is added (room
 * for its result): if memory runs out later, no outcome and no failure is lost. */
struct bo_branch_state {
    struct bo_lock lock; /* children, failures, tally, cut, leaver */
    struct bo_child *children, **last_child;
    struct bo_failure *failures, **last_failure; /* the primary one first */
    struct bo_failure *spare;                    /* used for a failure if there is no memory */
    struct bo_ending *ending;
    struct bough_child_result *results; /* of a branch that collects: room for the results of all children */
    size_t room;
    unsigned failure_count;
    unsigned fail_calls; /* how often the body has called bough_fail(); only the owner uses it */
    int code;            /* of the primary failure: the branch's result. 0: no failure, or all are isolated */
    struct bough_tally tally;
    bool supervisor, collect;
    bool cut;     /* the body or a child returned because it was interrupted */
    bool was_cut; /* the opener's last_was_cut when it opened the branch */
    bool has_leaver;
    pthread_t leaver;       /* the last worker that has ended: the branch waits for its key destructors */
    uint64_t ending_before; /* the opener's last ending at the opening: later ones are nested in this branch */
    uintptr_t block_frame;  /* the block's frame on its owner's stack, to detect a plain longjmp(). 0: not known */
    struct bo_at_end *at_end;
};

#endif
