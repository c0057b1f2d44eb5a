/* SPDX-License-Identifier: MIT */
/* Futex words of one process, uninterruptibly: for the library's own waits. The interruptible wait is
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

/* Sleep while *word == expected, at most until `deadline` (CLOCK_MONOTONIC; BO_FOREVER for none).
 * Comes back for any reason: the caller looks again. -ETIMEDOUT: that time is over. */
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
 * the cost of sleeping and being woken. Not a pause loop: the thread that brings the event may need this very
 * processor. */
#define BO_YIELD_UNTIL(condition)                                      \
    do {                                                               \
        int64_t bo_now = bo_clock(), bo_until = bo_now + 50000;        \
        while (!(condition) && bo_now < bo_until && bo_yield(&bo_now)) \
            continue;                                                  \
    } while (0)

/*
 * So many threads may wait in this process. The kernel keeps them in lists, sixteen on a machine with two processors,
 * and each thread that wakes another, or ends, goes through one: with thousands of waiting threads that is most of its
 * time. From Linux 6.17 on a process can have more of them. Called before a thread is started.
 */
void bo_futex_room(uint32_t threads);
void bo_futex_after_fork(void);

/* ---- what must be finished ------------------------------------------------------------------- */

/*
 * How deep the calling thread is in something that others would miss if it stood still there for good: a lock is held,
 * a list half changed, memory is being allocated. A thread is frozen (rule 37) where this is 0 only. Read by the
 * thread itself, and by signal handlers on top of it.
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

/* ---- a small lock, for ordinary code only: what a signal handler may run takes none ---------- */

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

/* By `deadline` on CLOCK_MONOTONIC; false: the time is over, and the lock is another's. */
bool bo_lock_by(struct bo_lock *lock, int64_t deadline);

static inline void bo_unlock(struct bo_lock *lock)
{
    if (bo_unlikely(bo_swap_acq_rel(&lock->state, 0) == 2))
        bo_futex_wake(&lock->state, 1);
    bo_busy_end();
}

/*
 * A lock that fork() holds: a signal handler that forks, nested inside the holder, would deadlock on it. So all signals
 * are blocked as long as it is held, by the handlers of pthread_atfork() too.
 */
struct bo_fork_lock {
    struct bo_lock lock;
    uint64_t mask; /* the holder's, from before */
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
