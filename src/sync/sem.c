/* SPDX-License-Identifier: MIT */
/*
 * Semaphore. One word holds both the count and the number of waiters, so that a release finds out in one step whether
 * it has to wake a thread, and never accesses a semaphore that an acquirer has freed:
 *
 *      63          32 31           0
 *     [ waiters      ] [ count      ]     the kernel's futex is the count
 *
 * No token is lost or duplicated: the count changes by one compare-and-swap for each token. No thread sleeps while a
 * token is available: a waiter counts itself before it reads the count. A later release sees the waiter and wakes a
 * sleeper. The waiter sees an earlier release in the count; or the kernel does, which compares the count with 0 before
 * it lets a thread sleep. A woken thread checks the count before it leaves (sync.h), and a thread that leaves while
 * tokens are available passes the wake-up on.
 */
#include "state/undo.h"
#include "sync/sync.h"

#define WAITER (UINT64_C(1) << 32)

static _Atomic uint64_t *word_of_sem(bough_sem *sem)
{
    return (_Atomic uint64_t *)(uintptr_t)&sem->state;
}

static uint32_t count_of(uint64_t state)
{
    return (uint32_t)state;
}

static const _Atomic uint32_t *futex_of(const bough_sem *sem)
{
    return bo_low_half(&sem->state);
}

/* Takes a token. For a waiter, the same step decreases the count of waiters. */
static bool take_token(bough_sem *sem, uint64_t waiter)
{
    uint64_t state = bo_load_relaxed(word_of_sem(sem));
    while (count_of(state) > 0)
        if (bo_cas_acquire(word_of_sem(sem), &state, state - 1 - waiter))
            return true;
    return false;
}

static long leave_sem(bough_sem *sem, long reason)
{
    uint64_t state = bo_sub_seq(word_of_sem(sem), WAITER) - WAITER;
    if (count_of(state) > 0 && state >= WAITER)
        bo_futex_wake(futex_of(sem), 1);
    return reason;
}

struct waiting {
    struct bo_undo undo;
    bough_sem *sem;
};

static void abandon_sem(struct bo_undo *undo)
{
    leave_sem(((struct waiting *)undo)->sem, 0);
}

static long acquire_slow(bough_sem *sem, bough_time deadline)
{
    struct waiting w = {.undo = {.run = abandon_sem}, .sem = sem};
    bo_add_seq(word_of_sem(sem), WAITER);
    for (long r = 0;;) {
        if (take_token(sem, WAITER))
            return 0;
        if (r != 0)
            return leave_sem(sem, r);
        bo_undo_push(&w.undo);
        r = bo_sync_wait(futex_of(sem), 0, deadline);
        bo_undo_pop(&w.undo);
    }
}

int bough_sem_acquire(bough_sem *sem, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    return take_token(sem, 0) ? 0 : (int)bo_result(acquire_slow(sem, deadline));
}

int bough_sem_try(bough_sem *sem)
{
    return take_token(sem, 0) ? 0 : (int)bo_result(-EAGAIN);
}

int bough_sem_release(bough_sem *sem)
{
    uint64_t state = bo_load_relaxed(word_of_sem(sem));
    do {
        if (count_of(state) == UINT32_MAX)
            return (int)bo_result(-EOVERFLOW);
    } while (!bo_cas_seq(word_of_sem(sem), &state, state + 1));
    if (state >= WAITER)
        bo_futex_wake(futex_of(sem), 1);
    return 0;
}
