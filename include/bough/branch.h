/* SPDX-License-Identifier: MIT */
/*
 * Branches: a scope that owns threads.
 *
 *   BOUGH_BRANCH(name) { ... }                                 // the block form
 *   BOUGH_BRANCH(name, .timeout = BOUGH_SEC(5)) { ... }        // with a deadline
 *   BOUGH_BRANCH(name, .supervisor = 1, .label = "workers") { ... }
 *
 * Leaving the block in any way (its end, break, continue, return, goto) joins every child. Leaving it after
 * bough_fail(), or after a child has failed, interrupts the children first. If the branch can't be opened, the block
 * is skipped and bough_last_result() has the error number.
 *
 * In C++ an exception that leaves the block counts as a failure of the body: the children are interrupted and joined,
 * then the exception propagates (rule 23). In C++ before C++20 pass the options as a variable:
 *
 *   bough_branch_options slow = {};
 *   slow.timeout = BOUGH_SEC(5);
 *   BOUGH_BRANCH(name, slow) { ... }
 *
 * The body counts like a child: the first failure marks the branch, which interrupts the other children and wakes a
 * blocked body (rule 25).
 *
 * A pitfall: in `return f();` inside the block, f() is evaluated before the children are joined. Call
 * bough_last_result() after the block.
 */
#ifndef BOUGH_BRANCH_H
#define BOUGH_BRANCH_H

#include <bough/types.h>
#ifdef __cplusplus
#include <exception>
#if defined(__GLIBCXX__) && !defined(__cpp_lib_uncaught_exceptions)
#include <cxxabi.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* All fields may be 0. */
struct bough_branch_options {
    const char *label BOUGH_ZERO_;    /* the branch's name; by default the name of its variable */
    bough_time deadline BOUGH_ZERO_;  /* a point in time; 0: none */
    int64_t timeout BOUGH_ZERO_;      /* ns from now; 0: none. If both are set, the earlier applies */
    unsigned supervisor BOUGH_ZERO_;  /* 1: a child's failure affects neither the other children nor the result */
    unsigned collect BOUGH_ZERO_;     /* 1: keep every child's outcome and result, not only the failures */
    const char *variable BOUGH_ZERO_; /* this and the rest are set by the block form */
    const char *file BOUGH_ZERO_;
    int line BOUGH_ZERO_;
};

/*
 * Open a branch on the calling thread. Branches nest; the innermost must end first.
 * Returns its handle; NULL with ENOMEM, EAGAIN (table full), EINVAL (a deadline below 0).
 * A deadline that has passed already opens a marked branch. `options` may be NULL. [rules 23 to 28, 31 and 33]
 */
BOUGH_API bough_branch *bough_branch_open(const struct bough_branch_options *options);

/*
 * End a branch: join every child, collect their results, close it. If the caller is interrupted while it waits, it
 * continues to wait; the interrupt reaches the children, and the caller gets it at its next interruption point. Returns
 * the result:
 *   0           all is well, or the branch itself was stopped (bough_last()->interrupted)
 *   ETIMEDOUT   it was ended by its own deadline (rule 27)
 *   ECANCELED   it was ended by an interrupt from further out, which is still pending
 *   other       the first failure's code; bough_last()->error has the tree
 * Misuse: EPERM (not the opener), ESRCH (ended already), EINVAL. Branches opened inside and left open
 * are ended first, and reported. [owner] [rules 23 to 28]
 */
BOUGH_API int bough_branch_end(bough_branch *branch);

/* ---- children ------------------------------------------------------------------------------ */

/* A child's function. It returns 0, or an error number. The argument is its resource's value. */
typedef int bough_fn(void *value);

/* A value for a child, with its destructor: `destroy` (may be NULL) runs exactly once, on the child's thread at its
 * end, or on the caller's thread if the child never started, unless the child took the resource over (rule 21). */
typedef struct bough_resource {
    void *value;
    void (*destroy)(void *value);
} bough_resource;

/* Any value, with its destructor. */
static inline bough_resource bough_resource_of(void *value, void (*destroy)(void *value))
{
    bough_resource r;
    r.value = value;
    r.destroy = destroy;
    return r;
}

BOUGH_API void bough_destroy_fd_(void *value);
BOUGH_API void bough_destroy_heap_(void *value);

/* A plain argument, without a destructor. */
static inline bough_resource bough_arg(void *value)
{
    return bough_resource_of(value, NULL);
}
/* A descriptor, closed at the end. The child reads it with bough_fd_of(). */
static inline bough_resource bough_fd(int fd)
{
    return bough_resource_of((void *)(intptr_t)fd, bough_destroy_fd_);
}
/* Memory from malloc, freed at the end. */
static inline bough_resource bough_heap(void *memory)
{
    return bough_resource_of(memory, bough_destroy_heap_);
}
/* The descriptor in a value made by bough_fd(). */
static inline int bough_fd_of(const void *value)
{
    return (int)(intptr_t)value;
}

/* Take the calling child's resource over: its destructor will not run. Returns the value; NULL with ENOENT if there
 * is no resource or it was taken already, EPERM outside a child. [rule 21] */
BOUGH_API void *bough_take(void);

/* All fields may be 0. */
struct bough_child_options {
    const char *name;  /* for messages, the kernel and the tree */
    size_t stack;      /* bytes; 0: the default. With a given size the child gets a separate OS thread */
    unsigned disabled; /* 1: starts at level disabled; allow regions lift it (rule 15) */
    unsigned foreign;  /* 1: its calls in foreign code are interruptible (bough/interpose.h) */
    unsigned fresh;    /* 1: a new OS thread, which is not used again afterwards */
};

/*
 * Run fn(resource.value) as a child of `branch`. The branch's owner and the threads in its subtree may call this.
 * Returns the child's handle; NULL if no child was started, in which case the destructor has run:
 *   ECANCELED (the branch, or one around it, is marked: rule 29), EAGAIN (no threads), ENOMEM,
 *   EPERM (not the owner's nor a descendant's), ESRCH (the branch has ended), EINVAL (NULL).
 * [rules 21, 29]
 */
BOUGH_API bough_thread *bough_add(bough_branch *branch, bough_fn *fn, bough_resource resource);
BOUGH_API bough_thread *bough_add_with(bough_branch *branch, bough_fn *fn, bough_resource resource,
                                       const struct bough_child_options *options);

/*
 * bough_adopt() with options of a branch's child: level disabled, opted in to the interruption of foreign code. The
 * thread must not be known yet. Returns its handle; NULL with EEXIST (the thread is known), EINVAL (the options ask
 * for a stack or a fresh thread), EAGAIN (the table is full). bough_release() ends the adoption. [rule 15]
 */
BOUGH_API bough_thread *bough_adopt_with(const struct bough_child_options *options);

/* How a child ended (rule 28). */
enum bough_outcome {
    BOUGH_RUNNING,
    BOUGH_OK,
    BOUGH_ERROR,
    BOUGH_INTERRUPTED, /* it returned ECANCELED, or nonzero after its last failing call was interrupted */
    BOUGH_NOT_STARTED, /* never run */
    BOUGH_LOST,        /* published as lost: it could not be joined */
    BOUGH_OUTCOMES
};

/* Wait until one child has ended; it may have ended already. Returns 0; -1 with ECANCELED (also if it has), EDEADLK
 * (the child is the caller), EINVAL (not a child's handle). [point] [rules 2 and 24] */
BOUGH_API int bough_join(const bough_thread *child);

/*
 * A child's outcome, and its result in *result (may be NULL). It is known while the child runs, and after its end as
 * long as its branch is open, if the branch collects (`.collect = 1`) or the child failed. Returns an enum
 * bough_outcome; -1 with ESRCH when the outcome is not kept, EINVAL if it is not a child's handle: *result is
 * unchanged. [rule 28]
 */
BOUGH_API int bough_outcome(const bough_thread *child, int *result);

/* The number of a branch's children, running and ended, by outcome. */
struct bough_tally {
    size_t added;
    size_t count[BOUGH_OUTCOMES]; /* by enum bough_outcome */
};

/* Count the children of an open branch by outcome. Any thread may call this. Returns 0; -1 with ESRCH (the branch has
 * ended), EINVAL (not a branch's handle, or NULL): *tally is unchanged. [rule 28] */
BOUGH_API int bough_branch_tally(const bough_branch *branch, struct bough_tally *tally);

/* The deadline that applies to the calling thread: the earliest of its branches' and of all branches around them; 0
 * if there is none. [signal] [rule 33] */
BOUGH_API bough_time bough_deadline(void);

/* Set the deadline of a branch, on bough_now()'s clock (0: none). Returns 0; -1 with EPERM (another thread's branch),
 * ESRCH (it has ended), EINVAL (not a branch's handle, or a deadline below 0). [owner] [rule 33] */
BOUGH_API int bough_set_deadline(bough_branch *branch, bough_time deadline);

/* ---- failures ------------------------------------------------------------------------------ */

/* One failure. Everything in it belongs to the library, see bough_last(). */
typedef struct bough_error bough_error;
struct bough_error {
    int code;                    /* an error number */
    const char *message;         /* "" if none was given */
    const char *file, *function; /* the place of the bough_fail() call; NULL if there was none */
    int line;
    const char *who;                    /* the thread's name, and its branch's */
    void *const *trace;                 /* return addresses, the innermost first */
    size_t depth;                       /* the number of return addresses */
    const bough_error *const *attached; /* the other failures, and those of a nested branch (rule 26) */
    size_t count;
};

/*
 * Report that the calling child (BOUGH_SELF) or a branch's body has failed: C needs an explicit call for that. The
 * call records message, place and backtrace (rule 30). For a branch the failure takes effect at once: it interrupts
 * the children. For a child it takes effect when the child returns; `code` then replaces the child's result. A second
 * failure of the same target is attached to the first; the first 64 are kept. ECANCELED means that the caller leaves
 * because it was interrupted: that interrupts the children, and is no failure. Returns `code`, so that a function can
 * `return bough_fail(BOUGH_SELF, EIO, "...")`. For code 0, a stale handle or a branch of another thread it returns
 * EINVAL, ESRCH or EPERM, and does nothing. [rules 23, 26, 30]
 */
#define bough_fail(target, ...) bough_fail_at_((target), __FILE__, __LINE__, __func__, __VA_ARGS__)
#define BOUGH_SELF ((bough_target)0)
BOUGH_API int bough_fail_at_(bough_target target, const char *file, int line, const char *function, int code,
                             const char *format, ...) BOUGH_FORMAT(6, 7);

/* One child, in a branch that collects. */
struct bough_child_result {
    const bough_thread *child;
    const char *name;
    enum bough_outcome outcome;
    int result;
};

/* The ending of the calling thread's last branch. Valid until the next branch ends on this thread. */
struct bough_ending {
    int result;      /* the result of bough_branch_end() */
    int interrupted; /* 1: an interrupt that was posted to the branch ended it */
    const char *label;
    const bough_error *error; /* the first failure, or NULL */
    struct bough_tally tally;
    const struct bough_child_result *children; /* in the order they were added; NULL unless .collect */
    size_t count;
};

/* The ending, or the result, of the calling thread's last branch. If neither function reads a failure, it becomes a
 * failure of the enclosing child; a thread keeps the last 64 unread failures. What bough_last() returns belongs to the
 * library, until the thread's next branch ends. [rules 25 and 26] */
BOUGH_API const struct bough_ending *bough_last(void);
BOUGH_API int bough_last_result(void);

/* Write an error tree to a descriptor, one line for each failure and each frame. Returns 0; -1 with EINVAL (NULL) or
 * write's errno. [rules 26 and 30] */
BOUGH_API int bough_error_print(const bough_error *error, int fd);

/* Have `report` called with each line that the library reports: misuse, threads that do not acknowledge a wake-up,
 * failures that were still unread at the end of the main thread or an adopted thread. NULL restores the default, a
 * line on standard error. The function must not block. Returns the previous function. */
typedef void bough_report_fn(const char *line);
BOUGH_API bough_report_fn *bough_set_report(bough_report_fn *report);

/* ---- the block form ------------------------------------------------------------------------ */

BOUGH_API void bough_leave_(bough_branch **branch);
BOUGH_API void bough_leave_by_exception_(bough_branch **branch, const char *file, int line, const char *function);

#ifdef __cplusplus
/* A block that is open, and how many exceptions were being thrown in its thread when it was entered: it may itself run
 * in a destructor that one of them calls. */
struct bough_block_ {
    bough_branch *branch;
    unsigned exceptions;
    int line;
    const char *file, *function;
};

/* Without exceptions in this file none can leave its blocks. libstdc++ in strict C++11 and C++14 has the count only
 * in the structure that the C++ ABI defines. */
static inline unsigned bough_exceptions_(void)
{
#if !defined(__cpp_exceptions)
    return 0;
#elif defined(__GLIBCXX__) && !defined(__cpp_lib_uncaught_exceptions)
    const void *globals = abi::__cxa_get_globals();
    return *(const unsigned *)((const char *)globals + sizeof(void *));
#else
    return (unsigned)std::uncaught_exceptions();
#endif
}

/* Always inlined, so that the options are in the frame of the function that contains the block, as in C (rule 19). */
static inline __attribute__((always_inline)) struct bough_block_ bough_block_open_(struct bough_branch_options options,
                                                                                   const char *variable,
                                                                                   const char *file, int line,
                                                                                   const char *function)
{
    struct bough_block_ block = {};
    options.variable = variable;
    options.file = file;
    options.line = line;
    block.branch = bough_branch_open(&options);
    block.exceptions = bough_exceptions_();
    block.line = line;
    block.file = file;
    block.function = function;
    return block;
}

static inline void bough_block_leave_(struct bough_block_ *block)
{
    if (bough_exceptions_() > block->exceptions)
        bough_leave_by_exception_(&block->branch, block->file, block->line, block->function);
    else
        bough_leave_(&block->branch);
}

static inline struct bough_branch_options bough_deadline_options_(int64_t timeout)
{
    struct bough_branch_options options = {};
    options.timeout = timeout;
    options.label = "deadline";
    return options;
}

/* The comma is there because C++ before C++20 does not allow an absent `...`; a list in braces may end with a comma. */
#define BOUGH_BRANCH(...) BOUGH_BRANCH_(__VA_ARGS__, )
#define BOUGH_BRANCH_(name, ...)                                                                        \
    for (struct bough_block_ bough_block_##name __attribute__((cleanup(bough_block_leave_))) =          \
             bough_block_open_(bough_branch_options{__VA_ARGS__}, #name, __FILE__, __LINE__, __func__), \
                                                *bough_once_##name = &bough_block_##name;               \
         bough_once_##name; bough_once_##name = NULL)                                                   \
        for (bough_branch *name = bough_block_##name.branch; name && bough_once_##name; bough_once_##name = NULL)
#define BOUGH_DEADLINE_(name, ns) BOUGH_BRANCH_(name, bough_deadline_options_(ns), )
#else
/* BOUGH_BRANCH(name, options...) { ... }: a block that owns threads. `name` is the branch's handle in it; the options
 * are fields of struct bough_branch_options. */
#define BOUGH_BRANCH(...) BOUGH_BRANCH_(__VA_ARGS__, .line = __LINE__)
#define BOUGH_BRANCH_(name, ...)                                                                      \
    for (bough_branch * name __attribute__((cleanup(bough_leave_))) = bough_branch_open(              \
             &(const struct bough_branch_options){.variable = #name, .file = __FILE__, __VA_ARGS__}), \
                             *bough_once_##name = name;                                               \
         bough_once_##name; bough_once_##name = NULL)
#define BOUGH_DEADLINE_(name, ns) BOUGH_BRANCH_(name, .timeout = (ns), .label = "deadline", .line = __LINE__)
#endif

/* A block with a deadline and no children: BOUGH_DEADLINE(BOUGH_MS(200)) { ... } (rule 27). After the block,
 * bough_last_result() is ETIMEDOUT if the deadline interrupted something. */
#define BOUGH_DEADLINE(ns) BOUGH_DEADLINE_(BOUGH_PASTE_(bough_deadline_, __LINE__), ns)

/* ---- a bounded branch ---------------------------------------------------------------------- */

/*
 * At most `limit` children at a time: adding waits for a place, interruptibly. It is a wrapper around any branch,
 * made of a semaphore.
 *
 *   BOUGH_BRANCH(jobs) {
 *       bough_bounded *two = bough_bounded_new(jobs, 2);
 *       while (next(&job) == 0 && bough_bounded_add(two, work, bough_heap(job))) {}
 *   }
 *
 * The bound belongs to the branch, and is freed with the last child and the branch's end.
 */
typedef struct bough_bounded bough_bounded;
/* Make a bound of `limit` children for a branch. Returns its handle, which belongs to the branch; NULL with EINVAL (no
 * branch, limit 0), EPERM (another thread's branch), ESRCH (it has ended), ENOMEM. [owner] [rule 29] */
BOUGH_API bough_bounded *bough_bounded_new(bough_branch *branch, unsigned limit);
/* As bough_add(), but waits for a place; ECANCELED if that wait was interrupted. [point] [rules 21 and 29] */
BOUGH_API bough_thread *bough_bounded_add(bough_bounded *bounded, bough_fn *fn, bough_resource resource);

#ifdef __cplusplus
}
#endif
#endif
