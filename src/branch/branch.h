/* SPDX-License-Identifier: MIT */
/*
 * Inside a branch: the family (children and what became of them), the workers, the failures.
 *
 *      struct bo_branch  (arena, seen by posters)         struct bo_family  (this process only)
 *        live, deadline, records                  ----->    children, failures, tally
 *
 *      struct bo_child   one bough_add(): function, resource, outcome
 *      struct bo_worker  one OS thread, which runs one child after another
 */
#ifndef BO_BRANCH_BRANCH_H
#define BO_BRANCH_BRANCH_H

#include <bough/branch.h>
#include <pthread.h>
#include "base/futex.h"
#include "state/arena.h"

/*
 * A child's life:
 *
 *      bough_add --> RUNNING --its function returns--> OK | ERROR | INTERRUPTED --> kept or freed
 *           |       \--its thread is frozen for good--> LOST --------------------> kept or freed
 *           \--> NOT_STARTED (the branch is marked, no thread, no memory): freed at once
 *
 * Written by the adder before the worker starts, by the worker after; `outcome` and the list links under
 * the family's lock.
 */
struct bo_child {
    struct bo_child *next, **link;
    struct bo_family *family;
    uint64_t branch; /* handles */
    uint64_t id;
    bough_fn *fn;
    bough_resource resource; /* its destructor is taken out by who runs it, or takes the resource over */
    bough_resource *own;     /* what bough_take() takes: the same, or what a wrapper has around it */
    bool disabled, foreign;
    bool named; /* its branch collects: there is room for the name that it has had */
    enum bough_outcome outcome;
    int result;
    unsigned said;              /* how often it has failed by bough_fail() */
    int code;                   /* of its first failure; 0 */
    struct bo_failure *failure; /* the evidence of it; NULL if there was no memory */
    uint64_t mask;              /* the adder's signal mask, as pthread_create would hand on */
    char name[];                /* when it has ended */
};

/* What is to be run when a branch ends, after its children. */
struct bo_at_end {
    struct bo_at_end *next;
    void (*fn)(void *);
    void *argument;
};

/* What the end of a branch needs is allocated at its opening (ending, spare) or when a child is added (room for
 * its result): running out of memory later loses no outcome and no failure. */
struct bo_family {
    struct bo_lock lock; /* children, failures, tally, cut, leaver */
    struct bo_child *children, **last_child;
    struct bo_failure *failures, **last_failure; /* the primary one first */
    struct bo_failure *spare;                    /* for a failure that finds no memory */
    struct bo_ending *ending;
    struct bough_child_result *results; /* of a branch that collects: room for all */
    size_t room;
    unsigned failure_count;
    unsigned said; /* how often the body has failed by bough_fail(); the owner's */
    int code;      /* of the primary failure: the branch's result. 0: none, or all isolated */
    struct bough_tally tally;
    bool supervisor, collect;
    bool cut;     /* body or a child left because it was interrupted */
    bool was_cut; /* what the opener's last_was_cut was outside */
    bool has_leaver;
    pthread_t leaver;       /* the last thread that ends for good: whose key destructors we wait for */
    uint64_t ending_before; /* the number of the opener's last ending: those after it are nested in this one */
    uintptr_t place;        /* of a block: on its owner's stack, to notice a plain longjmp(). 0: not known */
    struct bo_at_end *at_end;
};

void bo_family_free(struct bo_family *f);

/* Run fn(argument) when the branch has joined its children. 0; -1 with ENOMEM, ESRCH. [owner] */
int bo_branch_at_end(bough_branch *branch, void (*fn)(void *), void *argument);

/* Leave all branches that a thread has open, interrupted and joined, down to (not including) `until`; BO_NONE for all. */
void bo_branch_unwind(struct bo_thread *t, uint32_t until);
/* The same where that is a mistake of the program's, which is reported. */
void bo_branch_end_forgotten(struct bo_thread *t, uint32_t until, const char *by);
/* End the blocks whose frames a plain longjmp() has left; `sp` is the present one (rule 19). */
void bo_branch_sweep(struct bo_thread *t, uintptr_t sp);
/* A thread is lost: the branches it has open become nobody's, see lost.h. */
void bo_branch_orphan(struct bo_thread *t);
/* By the last one out of such a branch. */
void bo_branch_end_orphan(struct bo_branch *b);

/* ---- workers (worker.c) ------------------------------------------------------------------------------- */

/*
 *   begun      the child runs, or has: who is cancelled before was meant when it ran another one
 *   moved      it comes from another thread, which was cancelled
 *   finished   the child's function has returned and is accounted for: who is cancelled now has only to end
 *   orphan     the child has forked, and this is another process: there is no branch to come back to
 */
struct bo_worker {
    struct bo_worker *next, *prev; /* in the pool */
    struct bo_thread *slot;
    struct bo_child *child;   /* what it runs, or is to run */
    struct bo_family *family; /* the child's, also when that is freed */
    uint64_t branch;
    _Atomic uint32_t go; /* futex: 0 parked, 1 work, 2 end */
    pthread_t thread;
    size_t stack; /* its size, in bytes */
    bool fresh;   /* ends after its child */
    bool begun, moved, finished, orphan;
    struct bo_origin *origin; /* its first adder's */
};

/* A parked worker, or a new one that waits to be started. NULL with EAGAIN or ENOMEM. */
struct bo_worker *bo_worker_get(const struct bough_child_options *options);
/* Back to the pool unused. */
void bo_worker_put(struct bo_worker *w);
void bo_worker_start(struct bo_worker *w, struct bo_child *child);
void bo_workers_after_fork(struct bo_thread *self);

/* ---- children (child.c) ------------------------------------------------------------------------------- */

/* Its thread is lost: account for it, on another. It is freed, or kept as one that ended; the thread still counts as
 * live in its branch. `failure` says what happened; NULL: there was no memory. */
void bo_child_lost(struct bo_child *child, struct bo_failure *failure);
/* After the worker has shed what the child left: tell the branch, and end it if it is an orphan. */
void bo_child_gone(uint64_t branch);
void bo_child_free(struct bo_child *child);
/* Its name is in its thread's slot, which is about to have another child. */
void bo_child_keep_name(struct bo_child *child, const struct bo_thread *t);
/* In the copy that a child has forked: its family stays in the parent. */
void bo_child_after_fork(struct bo_child *child);

/* ---- failures (failure.c) ------------------------------------------------------------------------------- */

/* One failure with its evidence: the public face first, then what it owns. */
struct bo_failure {
    struct bough_error face;
    struct bo_failure *next; /* in the family's list or the thread's unread ones, in the order they came */
    const bough_error **attached;
    size_t room;
    const struct bo_failure *above; /* which it is attached to, and where in its list */
    size_t at;
    bool thrown;     /* a C++ exception that left a block: its catcher learns of it */
    uint64_t ending; /* while unread: which ending of the thread it is from */
    void *trace[32];
    char who[2 * BO_NAME + 8];
    char message[];
};

/* Evidence that is kept: the first ones of a supervisor's children (the tally counts all) and of a child or body that fails
 * again and again; the last ones of a thread's endings that nobody reads. */
enum { BO_KEPT_FAILURES = 64 };

/* Of the calling child; with `branch` (an index), of that branch's body. NULL with ENOMEM. */
struct bo_failure *bo_failure_new(int code, const char *message, uint32_t branch);
/* Of another thread, which stands still. */
struct bo_failure *bo_failure_of(const struct bo_thread *t, int code, const char *message, uint32_t branch);
/* A child's second failure is attached to its first. `f` is NULL if there was no memory for it. */
void bo_child_failed(struct bo_child *c, int code, struct bo_failure *f);
void bo_failure_attach(struct bo_failure *to, struct bo_failure *other);
/* The one after `e` in a tree, each before those attached to it, and how deep it hangs below the root, which is 0 deep.
 * NULL: that was the last one. */
const bough_error *bo_failure_next(const bough_error *root, const bough_error *e, unsigned *depth);
/* The body of the caller's branch is left by a C++ exception, at this block. */
void bo_failure_thrown(bough_branch *branch, const char *file, int line, const char *function);
void bo_failure_free(struct bo_failure *f);
/* Hand it to the family, which owns it then; NULL: there was no memory for it. The caller holds the family's lock.
 * Returns whether it is kept. */
bool bo_family_failed(struct bo_family *family, int code, struct bo_failure *f, bool body);

/* ---- endings (result.c) --------------------------------------------------------------------------------- */

/* Room for one. NULL with ENOMEM. */
struct bo_ending *bo_ending_new(void);
void bo_ending_free(struct bo_ending *e);
/* The number of the calling thread's last one. */
uint64_t bo_ending_count(void);
/* Keep how a branch ended as the calling thread's last; takes what it needs out of the family. */
void bo_ending_keep(struct bo_family *family, const char *label, int result, bool interrupted);
/* A block that is skipped, and why: an ending as well. Keeps errno. */
void bo_ending_not_opened(const struct bough_branch_options *options, int error);
/* The calling thread's failures that nobody has read, in one tree; NULL if there are none. The caller owns it. */
struct bo_failure *bo_ending_unread(void);
/* The last branch's failure if its result is this code and it came after that ending, read or not, for who passes it on. The
 * caller owns it, and keeps it as long as the ending is the thread's last. */
struct bo_failure *bo_ending_pass_on(int code, uint64_t after);
void bo_ending_drop(void);
/* Where a thread keeps all that; and what it has not read, taken by another when it stands still. [signal: the first] */
struct bo_endings *bo_endings_mine(void);
struct bo_failure *bo_endings_left(struct bo_endings *all);
/* The failures of a branch that nobody ends; frees what else its ending would have kept. */
struct bo_failure *bo_ending_of_orphan(struct bo_family *family);
/* In a forked process: what the parent has not read is the parent's to read. */
void bo_ending_after_fork(void);

#endif
