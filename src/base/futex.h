/* SPDX-License-Identifier: MIT */
/* Uninterruptible waits on futex words of this process, for the library's internal use. The interruptible wait is
 * bo_futex_wait() of thread/call.h. Waking is async-signal-safe. */
#ifndef BO_BASE_FUTEX_H
#define BO_BASE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "base/raw.h"

/* A futex word has 32 bits. These functions return the half of a 64-bit word that has its lower or upper bits, in the
 * machine's byte order. The compiler rejects a pointer to the 64-bit word as a futex, because on a big-endian machine
 * it points to the upper half. */
static inline const _Atomic uint32_t *bo_low_half(const volatile void *word)
{
    const _Atomic uint32_t *half = (const _Atomic uint32_t *)(uintptr_t)word;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? half : half + 1;
}

static inline const _Atomic uint32_t *bo_high_half(const volatile void *word)
{
    const _Atomic uint32_t *half = (const _Atomic uint32_t *)(uintptr_t)word;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? half + 1 : half;
}

/* Sleep while *word == expected, at most until `deadline` (CLOCK_MONOTONIC; BO_FOREVER for none). May also return for
 * no reason, so the caller checks the word again. -ETIMEDOUT: the deadline has passed. */
long bo_futex_sleep(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);

static inline void bo_futex_wake(const _Atomic uint32_t *word, int count)
{
    bo_raw3(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, count);
}

/*
 * Yields the processor once, and sets *now to the time afterwards. Returns false if the thread should sleep instead,
 * because another thread computes on this processor: then a yield lasts for the rest of that thread's time slice, some
 * milliseconds, but a thread that sleeps and is woken runs at once. After such a long yield no thread of the process
 * yields for a second.
 */
bool bo_yield(int64_t *now);

/* Before sleeping, yield for at most 50 us, until `condition` holds. The event has often come by then, and the yields
 * cost a fifth of a sleep and a wake. This is no pause loop, because the thread that causes the event may need this
 * processor. */
#define BO_YIELD_UNTIL(condition)                                      \
    do {                                                               \
        int64_t bo_now = bo_clock(), bo_until = bo_now + 50000;        \
        while (!(condition) && bo_now < bo_until && bo_yield(&bo_now)) \
            continue;                                                  \
    } while (0)

/*
 * Prepares the kernel for this number of waiting threads. The kernel keeps waiting threads in lists, sixteen on a
 * machine with two processors, and each thread that wakes another, or ends, searches a list: with thousands of waiting
 * threads the search takes most of the time. Since Linux 6.17 a process can ask for more lists. Called before a thread
 * is started.
 */
void bo_futex_room(uint32_t threads);
void bo_futex_after_fork(void);

/* ---- operations that must be completed ------------------------------------------------------------------ */

/*
 * The number of operations in progress on the calling thread that must be completed, because other threads depend on
 * them: it holds a lock, changes a list, or allocates memory. A thread is frozen (rule 37) only while this is 0. It is
 * read by the thread itself, and by signal handlers that interrupt the thread.
 */
extern BO_TLS uint32_t bo_busy;

static inline void bo_busy_begin(void)
{
    bo_busy++;
    bo_signal_fence();
}

static inline void bo_busy_end(void)
{
    bo_signal_fence();
    bo_busy--;
}

/* ---- a small lock, for ordinary code only: signal handlers take no lock ---------- */

struct bo_lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and a thread sleeps */
};

bool bo_lock_slow(struct bo_lock *lock, int64_t deadline);

static inline void bo_lock(struct bo_lock *lock)
{
    uint32_t free_state = 0;
    bo_busy_begin();
    if (bo_unlikely(!bo_cas_acquire(&lock->state, &free_state, 1)))
        bo_lock_slow(lock, BO_FOREVER);
}

/* Take the lock by `deadline` on CLOCK_MONOTONIC; false: the time is over, and another thread still holds the lock. */
bool bo_lock_by(struct bo_lock *lock, int64_t deadline);

static inline void bo_unlock(struct bo_lock *lock)
{
    if (bo_unlikely(bo_swap_acq_rel(&lock->state, 0) == 2))
        bo_futex_wake(&lock->state, 1);
    bo_busy_end();
}

/*
 * A lock that fork() takes. If a signal handler interrupted the lock's holder and forked, it would deadlock. So all
 * signals are blocked while the lock is held, even while the handlers of pthread_atfork() hold it.
 */
struct bo_fork_lock {
    struct bo_lock lock;
    uint64_t mask; /* the holder's signal mask, to restore */
};

static inline void bo_fork_lock(struct bo_fork_lock *lock)
{
    static const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof before);
    bo_lock(&lock->lock);
    lock->mask = before;
}

static inline void bo_fork_unlock(struct bo_fork_lock *lock)
{
    uint64_t before = lock->mask;
    bo_unlock(&lock->lock);
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before);
}

#endif
