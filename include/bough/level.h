/* SPDX-License-Identifier: MIT */
/*
 * Levels: where a thread can be interrupted now, and the regions that change it.
 *
 *   level          interrupts are delivered
 *   disabled       nowhere
 *   deferred       at interruption points (the default)
 *   asynchronous   anywhere in an asynchronous region
 *
 * Regions nest, and only ever lower the level. Every way out of one restores it: the end of the block, break, return,
 * goto, bough_longjmp(). A plain longjmp() across a region is detected at the start or end of the next region, or at
 * the next interrupted or blocked call, and reported (rule 19).
 *
 *   BOUGH_CRITICAL(BOUGH_SEC(1)) { ... }   // no interrupt in here, for at most a second
 *   BOUGH_ALLOW { ... }                    // in a thread that was started disabled: interrupts in here
 *   BOUGH_CLEANUP(0) { ... }               // interrupts delivered before are suppressed in here, for 5 s
 */
#ifndef BOUGH_LEVEL_H
#define BOUGH_LEVEL_H

#include <setjmp.h>
#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a thread can be interrupted, as in the table above. */
enum bough_level { BOUGH_DISABLED, BOUGH_DEFERRED, BOUGH_ASYNCHRONOUS };

/* The values for which 0 stands as the budget of a critical section, and as the grace of a cleanup region. */
#define BOUGH_DEFAULT_BUDGET BOUGH_SEC(5)
#define BOUGH_DEFAULT_GRACE BOUGH_SEC(5)

/* The calling thread's level now. [signal] */
BOUGH_API enum bough_level bough_level(void);

/* A region on its owner's stack. Its fields belong to the library. */
struct bough_region {
    struct bough_region *outer;
    uint64_t owner;
    bough_time entered;
    int64_t allowance;
    const char *file;
    int line;
    int kind;
    uint64_t saved[2];
};

/*
 * The block forms. A critical section's budget counts from its entry or from the post, whichever is later; all pauses
 * of one incident together last at most the smallest budget among its sections. When the budget has run out, the
 * section no longer protects (rule 17). 0 stands for the default budget or grace. The end of a region is not an
 * interruption point (rule 18).
 */
#define BOUGH_CRITICAL(budget) BOUGH_REGION_(bough_critical_begin, (budget))
/* Lifts the level `disabled` with which the thread was started, but never a critical section around it (rules 14,
 * 15). In other threads it changes nothing. */
#define BOUGH_ALLOW BOUGH_REGION_(bough_allow_begin_, 0)
/* Interrupts that were delivered before the region are suppressed in it, for a grace counted from their delivery.
 * Interrupts that are posted later are delivered. Branches opened in the region are protected as well (rule 20). */
#define BOUGH_CLEANUP(grace) BOUGH_REGION_(bough_cleanup_begin, (grace))

/* The same regions by calls, for bindings and for regions that are not blocks. Begin and end a region on the same
 * thread; the innermost ends first. The functions return 0; -1 with EPERM (another thread's region, or not the
 * innermost: nothing is changed), EINVAL (NULL, negative budget), EAGAIN (unknown thread and the table is full).
 * [owner] [rules 14, 17 and 20] */
BOUGH_API int bough_critical_begin(struct bough_region *region, int64_t budget, const char *file, int line);
BOUGH_API int bough_allow_begin(struct bough_region *region, const char *file, int line);
BOUGH_API int bough_cleanup_begin(struct bough_region *region, int64_t grace, const char *file, int line);
BOUGH_API int bough_region_end(struct bough_region *region);
/* Ends the region and is an interruption point: returns -1 with ECANCELED if an interrupt is due. [point] [rule 18] */
BOUGH_API int bough_region_end_check(struct bough_region *region);

/*
 * An asynchronous region: for a loop without interruption points, made only of code that may be left anywhere (no
 * malloc, no lock, no stdio: POSIX calls it async-cancel-safe).
 *
 *   struct bough_async compute;
 *   if (bough_async_begin(&compute) == 0) {
 *       grind();
 *       bough_async_end(&compute);
 *   } else {
 *       ...                               // errno is ECANCELED: it was left by siglongjmp
 *   }
 *
 * An interrupt first waits up to 50 ms for an interruption point. A signal handler that interrupts the region is
 * never abandoned. In a critical section around the region nothing is delivered. bough_async_begin() is a macro
 * around setjmp(), which saves no signal mask on Linux. Automatic variables that you change inside must be volatile.
 * [rule 14]
 */
struct bough_async {
    struct bough_region region;
    jmp_buf leave; /* the same as sigjmp_buf on Linux, which strict ISO C hides */
};
#define bough_async_begin(async) \
    (setjmp((async)->leave) ? bough_async_left_(async) : bough_async_begin_(async, __FILE__, __LINE__))
BOUGH_API int bough_async_begin_(struct bough_async *async, const char *file, int line);
BOUGH_API int bough_async_left_(struct bough_async *async) BOUGH_COLD;
BOUGH_API int bough_async_end(struct bough_async *async);

/*
 * setjmp and longjmp that know regions and branches: bough_longjmp() ends those that were begun after bough_setjmp(),
 * the innermost first (branches are interrupted and joined). [rule 19]
 */
struct bough_jmp {
    jmp_buf buffer;
    uint64_t owner;
    struct bough_region *region;
    uint64_t branch;
    void *handler;
};
#define bough_setjmp(jmp) (bough_jmp_mark_(jmp), setjmp((jmp)->buffer))
BOUGH_API void bough_jmp_mark_(struct bough_jmp *jmp);
BOUGH_API void bough_longjmp(struct bough_jmp *jmp, int value) __attribute__((noreturn));

/* ---- how the block forms are made ---------------------------------------------------------- */

BOUGH_API void bough_region_leave_(struct bough_region *region);

static inline int bough_allow_begin_(struct bough_region *region, int64_t unused, const char *file, int line)
{
    (void)unused;
    return bough_allow_begin(region, file, line);
}

#define BOUGH_REGION_(begin, allowance) \
    BOUGH_REGION_AT_(begin, allowance, BOUGH_PASTE_(bough_region_, __LINE__), BOUGH_PASTE_(bough_once_, __LINE__))
#define BOUGH_REGION_AT_(begin, allowance, region, once)                           \
    for (struct bough_region region __attribute__((cleanup(bough_region_leave_))), \
         *once = (begin(&region, (allowance), __FILE__, __LINE__), &region);       \
         once; once = NULL)

#ifdef __cplusplus
}
#endif
#endif
