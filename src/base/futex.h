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

/* A futex word is 32 bits. The half of a 64-bit word that has its lower or upper bits, wherever the machine puts them.
 * The type keeps a 64-bit word itself from being passed: its address is that of the upper half on a big-endian
 * machine. */
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

/* Sleep while *word == expected, at most until `deadline` (CLOCK_MONOTONIC; BO_FOREVER for none). May return for any
 * reason: the caller checks the word again. -ETIMEDOUT: the deadline has passed. */
long bo_futex_sleep(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);

static inline void bo_futex_wake(const _Atomic uint32_t *word, int count)
{
    bo_raw3(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, count);
}

/*
 * Yields the processor once, and sets *now to the time after that. Returns false if the thread should sleep instead:
 * another thread computes on this processor. A yield then costs the rest of that thread's time slice, milliseconds,
 * where a thread that sleeps and is woken runs at once. No thread of the process yields for a second after one that
 * took so long.
 */
bool bo_yield(int64_t *now);

/* Before sleeping: yield for 50 us at most, until `condition` holds. The event has often come by then, at a fifth of
 * the cost of sleeping and being woken. Not a pause loop: the thread that causes the event may need this processor. */
#define BO_YIELD_UNTIL(condition)                                      \
    do {                                                               \
        int64_t bo_now = bo_clock(), bo_until = bo_now + 50000;        \
        while (!(condition) && bo_now < bo_until && bo_yield(&bo_now)) \
            continue;                                                  \
    } while (0)

/*
 * Prepares the kernel for this number of waiting threads. The kernel keeps them in lists, sixteen on a machine with two
 * processors, and each thread that wakes another, or ends, searches one: with thousands of waiting threads it spends
 * most of its time there. Since Linux 6.17 a process can ask for more lists. Called before a thread is started.
 */
void bo_futex_room(uint32_t threads);
void bo_futex_after_fork(void);

/* ---- operations that must be finished ------------------------------------------------------------------- */

/*
 * How many operations the calling thread is inside that must be finished, because other threads depend on them: it
 * holds a lock, changes a list, or allocates memory. A thread is frozen (rule 37) only where this is 0. Read by the
 * thread itself, and by signal handlers that interrupt it.
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
 * A lock that fork() holds: a signal handler that forks, nested inside the holder, would deadlock on it. So all signals
 * are blocked while the lock is held, also while the handlers of pthread_atfork() hold it.
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
