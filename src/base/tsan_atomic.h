/* SPDX-License-Identifier: MIT */
/*
 * The thread sanitizer (TSan) implements atomics with an internal lock. The wake signal's handler is installed without
 * TSan's knowledge, so it can interrupt an atomic operation while that lock is held: it would deadlock on the lock, or
 * freeze the thread there, and all threads that use the same object would wait. So under TSan a thread marks that it is
 * in such an operation, and the wake is put off until the operation is over. In other builds these macros are empty.
 */
#ifndef BO_BASE_TSAN_ATOMIC_H
#define BO_BASE_TSAN_ATOMIC_H

#include <stdbool.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Weak, for programs that are built without the library. */
__attribute__((weak)) __thread __attribute__((tls_model("initial-exec"))) unsigned bo_in_atomic;
__attribute__((weak)) __thread __attribute__((tls_model("initial-exec"))) int bo_put_off; /* this signal */

__attribute__((weak, cold, noinline, no_sanitize("thread"))) void bo_come_again(void);

void bo_come_again(void)
{
    int saved = errno, signo = bo_put_off;
    bo_put_off = 0;
    syscall(SYS_tgkill, (long)getpid(), syscall(SYS_gettid), (long)signo);
    errno = saved;
}

__attribute__((no_sanitize("thread"))) static inline void bo_tsan_atomic_begin(void)
{
    bo_in_atomic++;
    atomic_signal_fence(memory_order_seq_cst);
}

__attribute__((no_sanitize("thread"))) static inline void bo_tsan_atomic_end(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (--bo_in_atomic == 0 && __builtin_expect(bo_put_off, 0))
        bo_come_again();
}

/* TSan puts off the program's signal handlers until the next atomic operation. An operation on this object lets them
 * run before the operation that must not be interrupted. In functions that TSan does not instrument it has no effect.
 * */
__attribute__((weak)) _Atomic char bo_any;
#define BO_LET_IN() ((void)atomic_load_explicit(&bo_any, memory_order_relaxed))

#define BO_TSAN_ATOMIC(operation)                       \
    __extension__({                                     \
        BO_LET_IN();                                    \
        bo_tsan_atomic_begin();                         \
        __typeof__(operation) bo_result_ = (operation); \
        bo_tsan_atomic_end();                           \
        bo_result_;                                     \
    })
#define BO_TSAN_ATOMIC_STORE(operation) (BO_LET_IN(), bo_tsan_atomic_begin(), (operation), bo_tsan_atomic_end())

/* Called in the handler: whether it has interrupted an atomic operation. If so, `signo`, if not 0, is sent again after
 * the operation. [signal] */
__attribute__((no_sanitize("thread"))) static inline bool bo_puts_off(int signo)
{
    if (bo_in_atomic && signo)
        bo_put_off = signo;
    return bo_in_atomic != 0;
}

#else
#define BO_TSAN_ATOMIC(operation) operation
#define BO_TSAN_ATOMIC_STORE(operation) operation

static inline bool bo_puts_off(int signo)
{
    (void)signo;
    return false;
}
#endif

#endif
